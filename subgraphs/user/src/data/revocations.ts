/**
 * What was revoked of late, across tenants: for telling the routers again what they may not have heard (control.ts). The
 * job revocation-announce of the migrations.
 */
import { sqlOf } from '@taskflow/kit/tenant-pool';
import type { Revoked } from './control.ts';
import type { Database } from './database.ts';

export interface Revocations {
  /** Sessions that ended, and members and organisations whose standing changed, within the last `ms`. */
  since(ms: number): AsyncGenerator<Revoked>;
}

const PAGE_SIZE = 1_000;
const NOBODY = '00000000-0000-0000-0000-000000000000';
const START: Placed = { at: '-infinity', id: NOBODY, orgId: NOBODY };

/** A row with its place: `at` in the database's own words, so that not a microsecond is lost. */
interface Placed {
  orgId: string;
  id: string;
  at: string;
}

const RECENTLY = `now() - $1::float8 * interval '1 millisecond'`;
const BEYOND = '($2::timestamptz, $3::uuid, $4::uuid)';

const sessions = `select s.org_id as "orgId", s.id, s.user_id as "userId", s.revoked_at::text as at from sessions s
  where s.revoked_at > ${RECENTLY} and (s.revoked_at, s.id, s.org_id) > ${BEYOND}
  order by s.revoked_at, s.id, s.org_id limit ${PAGE_SIZE}`;

const members = `select m.org_id as "orgId", m.id, m.epoch, m.status, m.updated_at::text as at from members m
  where m.epoch > 1 and m.updated_at > ${RECENTLY} and (m.updated_at, m.id, m.org_id) > ${BEYOND}
  order by m.updated_at, m.id, m.org_id limit ${PAGE_SIZE}`;

const organizations = `select o.org_id as "orgId", o.org_id as id, o.version,
    o.suspended_at is not null as "isSuspended", o.updated_at::text as at from organizations o
  where o.version > 1 and o.updated_at > ${RECENTLY} and (o.updated_at, o.org_id, o.org_id) > ${BEYOND}
  order by o.updated_at, o.org_id limit ${PAGE_SIZE}`;

export function revocationQueries(database: Database): Revocations {
  const sql = sqlOf(database.system);

  async function* pages<Row extends Placed>(text: string, ms: number): AsyncGenerator<Row> {
    let last: Placed = START;
    for (;;) {
      const rows: Row[] = await sql.query<Row>(text, [ms, last.at, last.id, last.orgId]);
      yield* rows;
      const end = rows.at(-1);
      if (!end || rows.length < PAGE_SIZE) return;
      last = end;
    }
  }

  return {
    async *since(ms) {
      for await (const { orgId, userId, id } of pages<Placed & { userId: string }>(sessions, ms)) {
        yield { orgId, userId, sessionId: id };
      }
      for await (const { orgId, id, epoch, status } of pages<Placed & { epoch: number; status: string }>(
        members,
        ms,
      )) {
        yield { orgId, userId: id, standing: { number: epoch, isSuspended: status !== 'ACTIVE' } };
      }
      for await (const row of pages<Placed & { version: number; isSuspended: boolean }>(organizations, ms)) {
        yield { orgId: row.orgId, standing: { number: row.version, isSuspended: row.isSuspended } };
      }
    },
  };
}
