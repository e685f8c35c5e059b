/**
 * Reading the audit log of one organisation: page by page, newest first, or as text for other tools.
 *
 *   who        an ORG_ADMIN; to everybody else the log is null, as if it were not there
 *   recorded   the first page of each list (`audit-log.read`) and every page of an export (`audit-log.exported`). A later
 *              page takes a cursor, which is bound to the person and the filter of a recorded first one
 *   order      by id, a UUIDv7: the time of an entry is the time within its id, so that one index serves order and range
 */
import { type AuditDetails, auditOriginOf, recordAudit } from './audit.ts';
import { type AuditFormat, type AuditLine, headerOf, textOf } from './audit-export.ts';
import type { Call } from './call.ts';
import { DomainError } from './errors.ts';
import { createFilter, type Filter, idColumn, idTimeColumn, Parameters, textColumn } from './filter.ts';
import type { Viewer } from './identity.ts';
import {
  type Connection,
  type Cursors,
  connectionOf,
  createKeyset,
  type Page,
  type Position,
  pageArgs,
  scopeOf,
} from './page.ts';
import { type Sql, sqlOf } from './sql.ts';
import { type TenantPool, withTenant } from './tenant-pool.ts';

export interface AuditListArgs {
  filter?: Filter | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
}

export interface AuditExportArgs extends AuditListArgs {
  format: AuditFormat;
}

export interface AuditExportPage {
  content: string;
  count: number;
  hasNextPage: boolean;
  endCursor: string | null;
}

export interface AuditLog {
  /** Null for whoever may not read it. */
  list(call: Call, args: AuditListArgs): Promise<Connection<AuditLine> | null>;
  /** Null for whoever may not read it. */
  export(call: Call, args: AuditExportArgs): Promise<AuditExportPage | null>;
}

/** A machine's key needs the scope ADMIN beside: the log tells who signed in from where. */
export const canReadAuditLog = ({ role, scopes }: Viewer): boolean =>
  role === 'ORG_ADMIN' && (scopes === undefined || scopes.includes('ADMIN'));

/** The SDL promises them. */
const EXPORT_SIZE_MAX = 1_000;
const COUNT_MAX = 10_000;
/** A page of an export ends early behind this many characters: long texts are in it as they were and as they are. */
const EXPORT_LENGTH_MAX = 1_000_000;

const filterSql = createFilter({
  action: textColumn('e.action'),
  actor: idColumn('e.actor_id'),
  targetType: textColumn('e.target_type'),
  target: idColumn('e.target_id'),
  occurredAt: idTimeColumn('e.id'),
});

const newestFirst = createKeyset<{ id: string }>([
  { sql: 'e.id', type: 'uuid', order: 'desc', of: (row) => row.id },
]);

interface Row {
  id: string;
  occurredAt: Date;
  action: string;
  actorId: string | null;
  sessionId: string | null;
  targetType: string;
  targetId: string | null;
  requestId: string;
  details: string | null;
  seq: string | null;
  hash: string | null;
}

const LINE_COLUMNS = `e.id, e.occurred_at as "occurredAt", e.action, e.actor_id as "actorId", e.session_id as "sessionId",
  e.target_type as "targetType", e.target_id as "targetId", e.request_id as "requestId", d.details, s.seq,
  encode(s.hash, 'hex') as hash`;
const LINES = `audit_entries e left join audit_details d on d.org_id = e.org_id and d.entry_id = e.id
  left join audit_seals s on s.org_id = e.org_id and s.entry_id = e.id`;

function lineOf(row: Row): AuditLine {
  const { targetType, targetId, details, seq, ...rest } = row;
  const { before, after, address, userAgent }: AuditDetails = details
    ? JSON.parse(details)
    : { before: null, after: null, address: null, userAgent: null };
  return {
    ...rest,
    target: { type: targetType, id: targetId },
    ...{
      before: before && JSON.stringify(before),
      after: after && JSON.stringify(after),
      address,
      userAgent,
    },
    ...{ isErased: details === null, isSealed: seq !== null, sequence: seq === null ? null : Number(seq) },
  };
}

interface Reading {
  readonly where: (parameters: Parameters) => string;
  readonly page: Page;
  readonly position: Position | null;
  cursorOf(row: { id: string }): string;
}

/** `pool` serves requests; `source` is the subgraph. */
export function createAuditLog(deps: { pool: TenantPool; source: string; cursors: Cursors }): AuditLog {
  const { source, cursors } = deps;
  const sql = sqlOf(deps.pool);

  function readingOf({ viewer }: Call, filter: AuditListArgs['filter'], page: Page): Reading {
    const binding = {
      orgId: viewer.orgId,
      scope: scopeOf('auditLog', source, viewer.userId, filter ?? null),
    };
    const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
    const now = new Date(position?.pinnedAt ?? Date.now());
    return {
      ...{ page, position },
      where: (parameters) => {
        const org = parameters.add(viewer.orgId, 'uuid');
        return `e.org_id = ${org} and ${filterSql(filter, parameters, { now, viewerId: viewer.userId })}`;
      },
      cursorOf: (row) =>
        cursors.encode({ ...binding, values: newestFirst.valuesOf(row), pinnedAt: now.getTime() }),
    };
  }

  async function record(call: Call, action: string, after: object): Promise<void> {
    const { orgId } = call.viewer;
    const target = { type: 'audit-log', id: orgId };
    await withTenant(call.viewer, () =>
      recordAudit(sql, orgId, auditOriginOf(call), { action, target, after }),
    );
  }

  return {
    async list(call, { filter, first, after }) {
      const reading = readingOf(call, filter, pageArgs({ first, after }));
      const { page, cursorOf } = reading;
      if (!canReadAuditLog(call.viewer)) return null;
      const rows = await withTenant(call.viewer, () => readLines(sql, reading));
      if (page.cursor === null) await record(call, 'audit-log.read', { filter: filter ?? null });
      return connectionOf({
        ...{ rows, page, cursorOf },
        totalCount: () => withTenant(call.viewer, () => count(sql, reading)),
      });
    },

    async export(call, { format, filter, first, after }) {
      const size = exportSizeOf(first);
      const page: Page = { size, direction: 'forward', cursor: after ?? null };
      const reading = readingOf(call, filter, page);
      if (!canReadAuditLog(call.viewer)) return null;
      const rows = await withTenant(call.viewer, () => readLines(sql, reading));
      const exported = exportOf(
        format,
        rows.map((row) => ({ ...row, subgraph: source })),
        reading,
      );
      await record(call, 'audit-log.exported', { filter: filter ?? null, format, count: exported.count });
      return exported;
    },
  };
}

/** All entries of one organisation, oldest first, page by page. For the system role. */
export async function* allLines(sql: Sql, orgId: string): AsyncGenerator<AuditLine[]> {
  let last = FIRST_ID;
  for (;;) {
    const rows = await sql.query<Row>(
      `select ${LINE_COLUMNS} from ${LINES} where e.org_id = $1::uuid and e.id > $2::uuid
       order by e.id limit ${EXPORT_SIZE_MAX}`,
      [orgId, last],
    );
    if (rows.length > 0) yield rows.map(lineOf);
    if (rows.length < EXPORT_SIZE_MAX) return;
    last = rows.at(-1)?.id ?? last;
  }
}

const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** At most one row more than the page has. */
async function readLines(sql: Sql, { where, page, position }: Reading): Promise<AuditLine[]> {
  const parameters = new Parameters();
  const condition = where(parameters);
  const beyond = position
    ? newestFirst.after(position.values, page.direction, parameters.values.length + 1)
    : { text: 'true', values: [] };
  const rows = await sql.query<Row>(
    `select ${LINE_COLUMNS} from ${LINES} where ${condition} and ${beyond.text}
     order by ${newestFirst.orderBy(page.direction)} limit ${page.size + 1}`,
    [...parameters.values, ...beyond.values],
  );
  return rows.map(lineOf);
}

async function count(sql: Sql, { where }: Reading): Promise<number> {
  const parameters = new Parameters();
  const [row] = await sql.query<{ total: number }>(
    `select count(*)::int as total from
       (select from audit_entries e where ${where(parameters)} limit ${COUNT_MAX}) as counted`,
    parameters.values,
  );
  return row?.total ?? 0;
}

function exportSizeOf(first: number | null | undefined): number {
  const size = first ?? EXPORT_SIZE_MAX;
  if (Number.isInteger(size) && size >= 1 && size <= EXPORT_SIZE_MAX) return size;
  throw new DomainError('BAD_USER_INPUT', `first must be from 1 to ${EXPORT_SIZE_MAX}.`, { field: 'first' });
}

function exportOf(
  format: AuditFormat,
  rows: readonly (AuditLine & { subgraph: string })[],
  { page, cursorOf }: Reading,
): AuditExportPage {
  let content = page.cursor === null ? headerOf(format) : '';
  let written = 0;
  for (const row of rows.slice(0, page.size)) {
    if (written > 0 && content.length > EXPORT_LENGTH_MAX) break;
    content += textOf(format, row);
    written += 1;
  }
  const last = rows[written - 1];
  return {
    ...{ content, count: written, hasNextPage: rows.length > written },
    endCursor: last ? cursorOf(last) : null,
  };
}
