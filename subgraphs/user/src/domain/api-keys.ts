/**
 * Keys for machines. A key acts as the person who made it, with that person's role of the moment, as far as its scopes go
 * (schema/scopes.ts). Only a person makes one, and its secret is answered once.
 *
 *   made ─▶ usable ── revoked · expired · its maker is removed ──▶ for ever useless
 *             └ its maker or the organisation is suspended ─▶ useless meanwhile
 */
import { auditOriginOf } from '@taskflow/kit/audit';
import { type Call, changeOnce } from '@taskflow/kit/call';
import { isUuid } from '@taskflow/kit/filter';
import type { Scope, Viewer } from '@taskflow/kit/identity';
import { type Connection, type Cursors, connectionOf, pageArgs, scopeOf } from '@taskflow/kit/page';
import { v7 as uuidv7 } from 'uuid';
import { type ApiKeyHolderRow, type ApiKeyRow, newestFirst } from '../data/api-keys.ts';
import type { Control } from '../data/control.ts';
import type { UserStore } from '../data/store.ts';
import { canManageKeysOf } from './api-key-policy.ts';
import { nameOf } from './input-rules.ts';
import { isActiveAdmin } from './people-policy.ts';
import { badInput, forbidden, notFound, tooManyKeys } from './refusals.ts';
import { newToken } from './secret-tokens.ts';

export interface ApiKeyCreate {
  name: string;
  scopes: readonly Scope[];
  expiresAt?: Date | null;
  requestsPerMinute?: number | null;
  clientMutationId?: string | null;
}

export interface ApiKeyRevoke {
  id: string;
  clientMutationId?: string | null;
}

/** Who stands behind a key, and on which plan: a PlanClaim as JSON. */
export interface ApiKeyIdentity extends ApiKeyHolderRow {
  plan: string | null;
}

export interface ApiKeyDeps {
  readonly control: Control;
  readonly cursors: Cursors;
}

/** Ten a second: a script in a hurry, and far from what one process serves. */
const REQUESTS_PER_MINUTE = 600;
const REQUESTS_PER_MINUTE_MAX = 6_000;
/** More than any person looks after. */
const USABLE_KEYS_MAX = 50;
/** Of the 43 characters of a secret: enough to tell keys apart, and 222 bits are left. */
const PREFIX_LENGTH = 6;

export type ApiKeys = ReturnType<typeof createApiKeys>;

export function createApiKeys(store: UserStore, { control, cursors }: ApiKeyDeps) {
  return {
    /** The secret is answered this once, also when the request is repeated. */
    async create(call: Call, input: ApiKeyCreate): Promise<{ row: ApiKeyRow; secret: string | null }> {
      const { viewer } = call;
      if (viewer.scopes) throw forbidden('Only a person makes API keys.');
      const wanted = wantedOf(input);
      let shownOnce: string | null = null;
      const { row } = await changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          // Locked, so that those who ask at once are counted one after the other.
          const maker = await tx.members.lock(viewer.userId);
          if (maker?.status !== 'ACTIVE') throw forbidden('Only a member makes API keys.');
          if ((await tx.apiKeys.countUsable(maker.id)) >= USABLE_KEYS_MAX) throw tooManyKeys(USABLE_KEYS_MAX);
          const token = newToken('key', viewer.orgId);
          const prefix = token.text.slice(
            token.text.lastIndexOf(`${viewer.orgId}_`) + viewer.orgId.length + 1,
          );
          const row = await tx.apiKeys.insert({
            ...{ ...wanted, id: uuidv7(), createdBy: maker.id, tokenHash: token.hash },
            prefix: prefix.slice(0, PREFIX_LENGTH),
          });
          await tx.audit(auditOriginOf(call), {
            ...{ action: 'api-key.created', target: { type: 'api-key', id: row.id } },
            after: imageOf(row),
          });
          shownOnce = token.text;
          return { row, syncId: null };
        },
        (id) => store.apiKeys.find(viewer, id),
      );
      return { row, secret: shownOnce };
    },

    /** At once at every router, sockets included. Safe to call twice. Somebody else's key is not there. */
    async revoke(call: Call, input: ApiKeyRevoke): Promise<ApiKeyRow> {
      const { viewer } = call;
      const { row } = await changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const by = await tx.members.hold(viewer.userId);
          const key = isUuid(input.id) ? await tx.apiKeys.lock(input.id) : null;
          if (!key || !canManageKeysOf(by, key.createdBy)) throw notFound('The API key', 'id');
          if (key.revokedAt) return { row: key, syncId: null };
          const row = await tx.apiKeys.revoke(key.id, viewer.userId);
          await tx.audit(auditOriginOf(call), {
            ...{ action: 'api-key.revoked', target: { type: 'api-key', id: row.id } },
            ...{ before: imageOf(key), after: imageOf(row) },
          });
          return { row, syncId: null };
        },
        (id) => store.apiKeys.find(viewer, id),
      );
      await control.revokeSession({ orgId: viewer.orgId, userId: row.createdBy, sessionId: row.id });
      return row;
    },

    async list(
      viewer: Viewer,
      args: { first?: number | null | undefined; after?: string | null | undefined },
    ): Promise<Connection<ApiKeyRow>> {
      const page = pageArgs(args);
      const [member] = await store.members.findMany(viewer, [viewer.userId]);
      const createdBy = isActiveAdmin(member ?? null) ? null : viewer.userId;
      const binding = { orgId: viewer.orgId, scope: scopeOf('apiKeys', createdBy) };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      return connectionOf({
        rows: await store.apiKeys.list(viewer, createdBy, { page, position }),
        page,
        cursorOf: (row) => cursors.encode({ ...binding, values: newestFirst.valuesOf(row) }),
        totalCount: () => store.apiKeys.count(viewer, createdBy),
      });
    },

    /** For the routers, which show the hash of a key that somebody showed them. Null for one that cannot be used now. */
    async identify(orgId: string, hash: string): Promise<ApiKeyIdentity | null> {
      const tokenHash = Buffer.from(hash, 'base64url');
      if (!isUuid(orgId) || tokenHash.length !== HASH_BYTES) return null;
      const holder = await store.apiKeys.findHolder(orgId, tokenHash);
      if (holder?.isUseUnnoted) await store.apiKeys.noteUse(orgId, holder.id);
      if (!holder) return null;
      const plan = await store.plans.find({ orgId });
      return { ...holder, plan: plan && JSON.stringify(plan) };
    },
  };
}

const HASH_BYTES = 32;

function wantedOf({ name, scopes, expiresAt = null, requestsPerMinute }: ApiKeyCreate) {
  if (scopes.length === 0) throw badInput('scopes', 'A key needs one scope at least.');
  if (expiresAt && expiresAt.getTime() <= Date.now()) throw badInput('expiresAt', 'This moment has passed.');
  const rate = requestsPerMinute ?? REQUESTS_PER_MINUTE;
  if (rate < 1 || rate > REQUESTS_PER_MINUTE_MAX) {
    throw badInput('requestsPerMinute', `This must be 1 to ${REQUESTS_PER_MINUTE_MAX}.`);
  }
  return { name: nameOf(name, 'name'), scopes: [...new Set(scopes)], expiresAt, requestsPerMinute: rate };
}

const imageOf = ({ name, scopes, expiresAt, requestsPerMinute, createdBy, revokedAt }: ApiKeyRow) => ({
  ...{ name, scopes, expiresAt, requestsPerMinute, createdBy, revokedAt },
});
