/**
 * Forgetting a person: what a service has written down about them and cannot simply delete.
 *
 *   forgetPerson   outbox and dead letters (rewritten), details of the audit log (deleted): the function of the migrations,
 *                  in the transaction that erases
 *   sweepStreams   entries of the work streams that every group has handled: deleted
 */
import { groupOf, WORK_FIELD, WORK_PARTITIONS } from './keys.ts';
import type { RedisConnections } from './redis.ts';
import { groupFrom, isBefore } from './relay-streams.ts';
import type { Sql } from './sql.ts';

/** Whom to forget. Address and name are null where the service never had them. */
export interface Forgotten {
  readonly orgId: string;
  readonly userId: string;
  readonly address: string | null;
  readonly name: string | null;
}

/** Safe to call twice. Facts stay valid: names and addresses in them become those of nobody. */
export async function forgetPerson(sql: Sql, { orgId, userId, address, name }: Forgotten): Promise<void> {
  // As text: Prisma reads no void.
  await sql.query('select forget_person($1::uuid, $2::uuid, $3, $4)::text as forgotten', [
    ...[orgId, userId, address, name],
  ]);
}

/** Streams are short: what is handled is trimmed every minute. */
const PAGE = 500;

export interface Sweep {
  readonly source: string;
  /** Whose groups must have handled an entry before it may go. */
  readonly consumers: readonly string[];
  /** Looks at the text of a fact. */
  matches(fact: string): boolean;
}

/** Deletes what matches from the work streams of one source; answers how many entries must wait for a consumer. */
export async function sweepStreams(
  { commands, keys }: Pick<RedisConnections, 'commands' | 'keys'>,
  { source, consumers, matches }: Sweep,
): Promise<number> {
  let waiting = 0;
  for (let partition = 0; partition < WORK_PARTITIONS; partition++) {
    const stream = keys.workStream(source, partition);
    for (let from = '-'; ; ) {
      const page = await commands.xrange(stream, from, '+', 'COUNT', PAGE);
      for (const [id, fields] of page) {
        const fact = fields[fields.indexOf(WORK_FIELD) + 1] ?? '';
        if (!matches(fact)) continue;
        if (await isHandled(stream, id)) await commands.xdel(stream, id);
        else waiting += 1;
      }
      const last = page.at(-1)?.[0];
      if (page.length < PAGE || last === undefined) break;
      from = `(${last}`;
    }
  }
  return waiting;

  async function isHandled(stream: string, id: string): Promise<boolean> {
    const groups = ((await commands.xinfo('GROUPS', stream)) as unknown[][]).map(groupFrom);
    for (const group of consumers.map(groupOf)) {
      const found = groups.find(({ name }) => name === group);
      if (!found || isBefore(found.lastDelivered, id)) return false;
      const pending = (await commands.xpending(stream, group, id, id, 1)) as unknown[];
      if (pending.length > 0) return false;
    }
    return true;
  }
}
