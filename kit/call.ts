/**
 * One mutation call, from what the harness knows of the request to what a use case needs.
 *
 *   resolver   payloadOf(input, () => useCase(callOf(context, info), input))
 *   use case   changeOnce(call, input, store.transaction, async (tx) => { …; return { row, syncId } }, reload)
 */
import type { GraphQLResolveInfo } from 'graphql';
import { DomainError } from './errors.ts';
import { once } from './idempotency.ts';
import type { Reader, RoleReader, Viewer } from './identity.ts';
import type { RequestContext } from './service.ts';
import type { Sql, Tenant } from './tenant-pool.ts';

export interface Call {
  readonly viewer: Viewer;
  readonly requestId: string;
  /** The mutation's field: `taskCreate`. */
  readonly field: string;
  /** The client's Idempotency-Key together with the field's response key; absent without the header. */
  readonly idempotencyKey: string | undefined;
  /** From where the request came, as the router saw it. */
  readonly address: string | null;
  readonly userAgent: string | null;
}

/** The signed-in person; throws UNAUTHENTICATED for an anonymous caller. */
export function viewerOf({ viewer }: Pick<RequestContext, 'viewer'>): Viewer {
  if (viewer) return viewer;
  throw new DomainError('UNAUTHENTICATED', 'Sign in to do this.');
}

/** For whom a shared field is read: the viewer, or their group where it has a role. Throws UNAUTHENTICATED otherwise. */
export function readerOf({ reader }: Pick<RequestContext, 'reader'>): RoleReader {
  const known = withRole(reader);
  if (known) return known;
  throw new DomainError('UNAUTHENTICATED', 'Sign in to do this.');
}

/** Null for nobody, and for a whole organisation: what depends on the role is not the same for all of it. */
export function withRole(reader: Reader | null): RoleReader | null {
  return reader?.role === undefined ? null : (reader as RoleReader);
}

/** Two aliased fields of one document are two calls, hence the response key. */
export function callOf(context: RequestContext, info: Pick<GraphQLResolveInfo, 'fieldName' | 'path'>): Call {
  const { idempotencyKey, clientAddress, userAgent } = context.claims;
  return {
    viewer: viewerOf(context),
    requestId: context.requestId,
    field: info.fieldName,
    idempotencyKey: idempotencyKey === undefined ? undefined : `${idempotencyKey}:${info.path.key}`,
    address: clientAddress ?? null,
    userAgent: userAgent ?? null,
  };
}

export interface Changed<Row> {
  readonly row: Row;
  /** Null when nothing had to be written. */
  readonly syncId: string | null;
}

/**
 * Runs `work` in one transaction, once per idempotency key. A replay answers the row as it is now (`reload`; NOT_FOUND
 * when it is gone) with the syncId of the first time. clientMutationId is not part of the request.
 */
export async function changeOnce<Tx extends { sql: Sql }, Row extends { id: string }>(
  call: Call,
  input: { readonly clientMutationId?: unknown },
  transact: <T>(tenant: Tenant, work: (tx: Tx) => Promise<T>) => Promise<T>,
  work: (tx: Tx) => Promise<Changed<Row>>,
  reload: (id: string) => Promise<Row | null>,
): Promise<Changed<Row>> {
  const { viewer, field, idempotencyKey: key } = call;
  const { clientMutationId: _, ...request } = input;
  const result = await transact(viewer, (tx) =>
    once(tx.sql, { viewer, key, field, request }, async () => {
      const changed = await work(tx);
      return { ids: [changed.row.id, changed.syncId ?? ''], changed };
    }),
  );
  if (!result.replayed) return result.changed;
  const [id = '', syncId = ''] = result.ids;
  const row = await reload(id);
  if (!row) throw new DomainError('NOT_FOUND', 'What this request made does not exist any more.');
  return { row, syncId: syncId || null };
}
