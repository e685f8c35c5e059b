import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

/** A person's data on its way into an archive, or in one; the archive itself is read apart. */
export interface DataExportRow {
  id: string;
  userId: string;
  /** EXPIRED: retention will delete it. */
  state: 'GATHERING' | 'READY' | 'EXPIRED';
  createdAt: Date;
  readyAt: Date | null;
  expiresAt: Date;
  sizeBytes: number | null;
}

/** A piece of what another subgraph holds about the person. */
export interface DataExportPart {
  source: string;
  index: number;
  count: number;
  content: string;
}

const IS_EXPIRED = 'e.expires_at <= now()';
const COLUMNS = `e.id, e.user_id as "userId", case when ${IS_EXPIRED} then 'EXPIRED' else e.state end as state,
  e.created_at as "createdAt", e.ready_at as "readyAt", e.expires_at as "expiresAt",
  octet_length(e.archive) as "sizeBytes"`;
const MS = `* interval '1 millisecond'`;

/** The SDL promises it. */
const LIST_MAX = 20;

/** Named reads of one tenant's exports. */
export function dataExportQueries(database: Database) {
  const read = <Row>(tenant: Tenant, text: string, values: unknown[]): Promise<Row[]> =>
    database.read(tenant, (tx) => sqlOf(tx).query<Row>(text, values));
  return {
    /** Of one person, newest first; served by data_exports_user_id_idx, read backwards. */
    listOf: (tenant: Tenant, userId: string): Promise<DataExportRow[]> =>
      read(
        tenant,
        `select ${COLUMNS} from data_exports e where e.org_id = $1::uuid and e.user_id = $2::uuid
           order by e.created_at desc, e.id desc limit ${LIST_MAX}`,
        [tenant.orgId, userId],
      ),

    async find(tenant: Tenant, id: string): Promise<DataExportRow | null> {
      const text = `select ${COLUMNS} from data_exports e where e.org_id = $1::uuid and e.id = $2::uuid`;
      return (await read<DataExportRow>(tenant, text, [tenant.orgId, id]))[0] ?? null;
    },
  };
}

/** What a transaction may do with the exports of one organisation. Hold the member before: erasing locks in this order. */
export function dataExportsIn(sql: Sql, orgId: string) {
  return {
    async insert(id: string, userId: string, ttlMs: number): Promise<DataExportRow> {
      const [row] = await sql.query<DataExportRow>(
        `insert into data_exports as e (org_id, id, user_id, expires_at)
           values ($1::uuid, $2::uuid, $3::uuid, now() + $4::float8 ${MS}) returning ${COLUMNS}`,
        [orgId, id, userId, ttlMs],
      );
      return row as DataExportRow;
    },

    /** Whether one of the person's is still being gathered, or was asked for within `windowMs`. */
    async isAnother(userId: string, windowMs: number): Promise<boolean> {
      const rows = await sql.query(
        `select e.id from data_exports e where e.org_id = $1::uuid and e.user_id = $2::uuid
           and (e.created_at > now() - $3::float8 ${MS} or (e.state = 'GATHERING' and not ${IS_EXPIRED})) limit 1`,
        [orgId, userId, windowMs],
      );
      return rows.length > 0;
    },

    /** One that still waits for parts; others wait behind whoever has it. */
    async lockGathering(id: string, userId: string): Promise<DataExportRow | null> {
      const [row] = await sql.query<DataExportRow>(
        `select ${COLUMNS} from data_exports e where e.org_id = $1::uuid and e.id = $2::uuid
           and e.user_id = $3::uuid and e.state = 'GATHERING' and not ${IS_EXPIRED} for update`,
        [orgId, id, userId],
      );
      return row ?? null;
    },

    /** Nothing happens when it is there already. */
    async keepPart(id: string, part: DataExportPart): Promise<void> {
      await sql.query(
        `insert into data_export_parts (org_id, export_id, source, part_index, part_count, content)
           values ($1::uuid, $2::uuid, $3, $4::int, $5::int, $6) on conflict do nothing`,
        [orgId, id, part.source, part.index, part.count, part.content],
      );
    },

    /** The sources of which every part is there. */
    async wholeSources(id: string): Promise<string[]> {
      const rows = await sql.query<{ source: string }>(
        `select p.source from data_export_parts p where p.org_id = $1::uuid and p.export_id = $2::uuid
           group by p.source having count(*) = max(p.part_count)`,
        [orgId, id],
      );
      return rows.map(({ source }) => source);
    },

    /** The text of each source, in whole, by source. The parts are gone afterwards. */
    async takeContents(id: string): Promise<Map<string, string>> {
      const rows = await sql.query<{ source: string; content: string }>(
        `with taken as (
           delete from data_export_parts p where p.org_id = $1::uuid and p.export_id = $2::uuid
             returning p.source, p.part_index, p.content)
         select source, string_agg(content, '' order by part_index) as content from taken group by source`,
        [orgId, id],
      );
      return new Map(rows.map(({ source, content }) => [source, content]));
    },

    async complete(id: string, archive: Uint8Array, ttlMs: number): Promise<DataExportRow> {
      const [row] = await sql.query<DataExportRow>(
        `update data_exports e set state = 'READY', archive = $3::bytea, ready_at = now(),
             expires_at = now() + $4::float8 ${MS}
           where e.org_id = $1::uuid and e.id = $2::uuid returning ${COLUMNS}`,
        [orgId, id, archive, ttlMs],
      );
      return row as DataExportRow;
    },

    /** The archive of one of the person's; null while there is none, and when its time is over. */
    async findArchive(id: string, userId: string): Promise<Uint8Array | null> {
      const [row] = await sql.query<{ archive: Uint8Array }>(
        `select e.archive from data_exports e where e.org_id = $1::uuid and e.id = $2::uuid
           and e.user_id = $3::uuid and e.state = 'READY' and not ${IS_EXPIRED}`,
        [orgId, id, userId],
      );
      return row?.archive ?? null;
    },
  };
}
