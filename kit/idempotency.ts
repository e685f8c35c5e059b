/**
 * Idempotency keys: a mutation that is sent again answers what it answered before, and does nothing.
 *
 *   insert (org, user, key) ── new ─────────▶ run ──▶ keep the ids of its result        one transaction
 *                           └─ known ──▶ same field and request? ── yes ──▶ replay by those ids
 *                                                                └─ no ───▶ IDEMPOTENCY_KEY_REUSED
 *
 * A key at work elsewhere is waited for: the insert blocks on the other transaction, and proceeds as its outcome says.
 * A run that throws rolls its key back with everything else, so it may be tried again with the same key.
 */
import { createHash } from 'node:crypto';
import { DomainError } from './errors.ts';
import type { Sql } from './sql.ts';

export interface KeyedCall {
  readonly viewer: { readonly orgId: string; readonly userId: string };
  /** As the client sent it; without one the mutation simply runs. */
  readonly key?: string | undefined;
  /** The mutation's field: one key serves one field. */
  readonly field: string;
  /** What was asked for: the input without clientMutationId. Compared by value, whatever the order of its fields. */
  readonly request: unknown;
}

/** The same limit as the column's CHECK; a UUID takes 36. */
const KEY_LENGTH_MAX = 200;

/**
 * Runs `run` once per viewer and key. `sql` is the transaction in which `run` works, at read committed.
 * A replay answers only the ids: load what they name as it is now.
 */
export async function once<R extends { ids: readonly string[] }>(
  sql: Sql,
  call: KeyedCall,
  run: () => Promise<R>,
): Promise<(R & { replayed: false }) | { ids: readonly string[]; replayed: true }> {
  const { viewer, key, field } = call;
  if (key === undefined) return { ...(await run()), replayed: false };
  if (key === '' || key.length > KEY_LENGTH_MAX) {
    throw new DomainError('BAD_USER_INPUT', `An idempotency key has 1 to ${KEY_LENGTH_MAX} characters.`);
  }
  const requestHash = hashOf(call.request);
  const identity = [viewer.orgId, viewer.userId, key];
  const claimed = await sql.query(
    `insert into idempotency_keys (org_id, user_id, key, field, request_hash) values ($1, $2, $3, $4, $5)
     on conflict do nothing returning key`,
    [...identity, field, requestHash],
  );
  const where = 'where org_id = $1 and user_id = $2 and key = $3';
  if (claimed.length === 1) {
    const result = await run();
    const ids = JSON.stringify(result.ids);
    await sql.query(`update idempotency_keys set result_ids = $4::jsonb ${where}`, [...identity, ids]);
    return { ...result, replayed: false };
  }
  const [known] = await sql.query<{ field: string; request_hash: string; result_ids: string[] }>(
    `select field, request_hash, result_ids from idempotency_keys ${where}`,
    identity,
  );
  if (known?.field !== field || known.request_hash !== requestHash) {
    throw new DomainError(
      'IDEMPOTENCY_KEY_REUSED',
      'This idempotency key was already used for another request.',
    );
  }
  return { ids: known.result_ids, replayed: true };
}

function hashOf(request: unknown): string {
  return createHash('sha256').update(canonical(request)).digest('base64url');
}

/** JSON with the fields of every object in one order, as toJSON and undefined leave them. */
function canonical(request: unknown): string {
  return JSON.stringify(request ?? null, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
