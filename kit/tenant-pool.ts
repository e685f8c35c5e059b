/**
 * The second wall of tenancy: no statement reaches PostgreSQL without the tenant it acts for.
 *
 *   withTenant(viewer, async () => …)            the tenant of everything awaited inside (AsyncLocalStorage)
 *     pool.query(…)                              context and statement in one round trip (tenant-query.ts)
 *     pool.connect() … BEGIN                     BEGIN; SET LOCAL app.org_id = '…'; …    also one round trip
 *     ✗ no tenant                                NoTenantError before any byte is sent
 *     within a call: what is left of its time     statement_timeout, in the same round trip (statement-deadline.ts)
 *
 * Row security reads app.org_id, app.user_id and app.role. Invariants: a setting lives as long as one statement or one
 * transaction; a borrowed connection belongs to one tenant, and comes back clean or not at all (lending.ts).
 * Measured on a 20-row list, relative throughput: Prisma without row security 1.00; Prisma's documented
 * `$transaction([set_config, query])` 0.29; this pool with named statements 0.81.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import {
  type ConnectCallback,
  deliver,
  deliverHandle,
  ignoreLostConnection,
  lend,
  SESSION_LIMITS,
  STATEMENT_TIMEOUT_MS,
  statementOf,
} from './lending.ts';
import { transactionOn } from './sql.ts';
import { noteStatement } from './statement-count.ts';
import { borrowWithin, runWithinDeadline, statementTimeoutMs } from './statement-deadline.ts';
import { prepareContext, TenantQuery } from './tenant-query.ts';

export { createSystemPool, type Sql, sqlOf, transaction } from './sql.ts';
export { assertProtected, ProtectionError } from './tenant-protection.ts';

/** Whom the work is done for. Ids are UUIDs, the role is a name in capitals. */
export interface Tenant {
  readonly orgId: string;
  readonly userId?: string | undefined;
  readonly role?: string | undefined;
  readonly requestId?: string | undefined;
}

/** A checked tenant with what the wire needs, built once per withTenant. */
export interface TenantScope {
  readonly tenant: Tenant;
  /** Parameters of the context statement: organisation, user, role. */
  readonly values: readonly string[];
  /** The same as text, for the round trip of BEGIN. Safe to inline: every value was checked against a pattern. */
  readonly setLocal: string;
}

/** A statement was about to run for nobody, or for somebody else than its transaction. Always a bug. */
export class NoTenantError extends Error {
  override readonly name = 'NoTenantError';
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const ROLE = /^[A-Z][A-Z_]{0,39}$/;
/** Owns no rows: for the catalogue and for probes. */
export const NOBODY: Tenant = { orgId: '00000000-0000-0000-0000-000000000000' };

const scopes = new AsyncLocalStorage<TenantScope>();

/**
 * Runs `work` for a tenant. What touches the database must be awaited inside: Prisma's promises are lazy and take the
 * tenant when they are awaited, not when they are made. May be nested; the innermost counts.
 */
export async function withTenant<T>(tenant: Tenant, work: () => Promise<T>): Promise<T> {
  return scopes.run(scopeOf(tenant), async () => await work());
}

/** The tenant of the running work, if any. */
export function currentTenant(): Tenant | undefined {
  return scopes.getStore()?.tenant;
}

function scopeOf(tenant: Tenant): TenantScope {
  const { orgId, userId = '', role = '' } = tenant;
  if (!UUID.test(orgId)) throw new NoTenantError('the tenant has no valid organisation id');
  if (userId !== '' && !UUID.test(userId)) throw new NoTenantError('the tenant has no valid user id');
  if (role !== '' && !ROLE.test(role)) throw new NoTenantError('the tenant has no valid role');
  const settings = { 'app.org_id': orgId, 'app.user_id': userId, 'app.role': role };
  return {
    tenant,
    values: [orgId, userId, role],
    setLocal: Object.entries(settings)
      .map(([name, value]) => `SET LOCAL ${name} = '${value}'`)
      .join('; '),
  };
}

function requireScope(): TenantScope {
  const scope = scopes.getStore();
  if (!scope) {
    throw new NoTenantError('a statement ran outside withTenant: refused before it reached the database');
  }
  return scope;
}

/**
 * Texts that get a prepared statement of their own on each connection; any others are parsed each time. A cached plan
 * takes some 20 kB of the backend: 400 bound a connection to 8 MB when lists of every length are asked for.
 */
const NAMED_STATEMENTS_MAX = 400;

const PREPARABLE = /^\s*(select|insert|update|delete|with)\b/i;
const BEGIN = /^\s*(begin|start\s+transaction)\b[^;]*(?=;?\s*$)/i;

export interface TenantPoolOptions extends pg.PoolConfig {
  /** Called with every statement of the callers, transaction control included. For counting in tests. */
  onStatement?(text: string): void;
  /** Tests only: the statement that is sent instead, to see what holds when the code forgets its tenant. */
  rewriteStatement?(text: string): string;
  /**
   * `statement` (default): context and statement share one round trip. `transaction`: each statement is wrapped in a
   * transaction of its own, three round trips, over pg's public interface only; also what Citus needs.
   */
  scope?: 'statement' | 'transaction';
}

/** A pg.Pool that acts for the tenant of withTenant only. Hand it to `new PrismaPg(pool)`, or to sqlOf. */
export class TenantPool extends pg.Pool {
  readonly #onStatement: ((text: string) => void) | undefined;
  readonly #rewrite: (text: string) => string;
  readonly #wrap: boolean;
  readonly #statementTimeoutMs: number;
  readonly #names = new Map<string, string>();

  constructor({ onStatement, rewriteStatement, scope = 'statement', ...options }: TenantPoolOptions) {
    super({ ...SESSION_LIMITS, ...options, onConnect: prepareContext });
    this.#onStatement = onStatement;
    this.#rewrite = rewriteStatement ?? ((text) => text);
    this.#wrap = scope === 'transaction';
    this.#statementTimeoutMs = Number(options.statement_timeout ?? STATEMENT_TIMEOUT_MS);
    this.on('error', ignoreLostConnection);
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg types query as seven overloads; this is their common shape
  override query(config: any, values?: any, callback?: any): any {
    const [statement, settle] = statementOf(config, values, callback);
    const answer = this.#wrap
      ? transactionOn(this, (client) => client.query(statement))
      : this.#queryInOneRoundTrip(statement);
    return deliver(answer, settle);
  }

  async #queryInOneRoundTrip(statement: pg.QueryConfig): Promise<pg.QueryResult> {
    const client = await this.#borrow();
    client.on('error', ignoreLostConnection);
    try {
      return await client.query(statement);
    } finally {
      client.removeListener('error', ignoreLostConnection);
      client.release();
    }
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<pg.PoolClient> | undefined {
    const handle = this.#borrow();
    if (!callback) return handle;
    deliverHandle(handle, callback);
    return undefined;
  }

  /** Whether the database answers; for readiness probes. Needs no tenant. */
  async ping(): Promise<void> {
    await withTenant(NOBODY, () => this.query('select 1'));
  }

  async #borrow(): Promise<pg.PoolClient> {
    const scope = requireScope();
    const client = await (this.idleCount > 0 ? super.connect() : borrowWithin(super.connect()));
    const run = (statement: pg.QueryConfig) => {
      const asking = scopes.getStore();
      if (asking && asking.tenant.orgId !== scope.tenant.orgId) {
        throw new NoTenantError('a transaction was used for another tenant than its own');
      }
      return this.#run(client, statement, scope);
    };
    return lend(client, runWithinDeadline(client, run, this.#statementTimeoutMs));
  }

  #run(client: pg.PoolClient, statement: pg.QueryConfig, scope: TenantScope): Promise<pg.QueryResult> {
    noteStatement();
    this.#onStatement?.(statement.text);
    const begin = BEGIN.exec(statement.text);
    const timeoutMs = statementTimeoutMs(this.#statementTimeoutMs);
    if (begin) return beginFor(client, begin[0], scope, timeoutMs);
    const named = this.#named({ ...statement, text: this.#rewrite(statement.text) });
    if (client.getTransactionStatus() !== 'I') return client.query(named);
    return new Promise((resolve, reject) => {
      client.query(
        new TenantQuery(named, scope, timeoutMs, (error, result) =>
          error ? reject(error) : resolve(result),
        ),
      );
    });
  }

  #named(statement: pg.QueryConfig): pg.QueryConfig {
    const { text } = statement;
    if (statement.name !== undefined || !PREPARABLE.test(text)) return statement;
    let name = this.#names.get(text);
    if (name === undefined) {
      if (this.#names.size >= NAMED_STATEMENTS_MAX) return statement;
      name = `taskflow_${this.#names.size}`;
      this.#names.set(text, name);
    }
    return { ...statement, name };
  }
}

/** SET LOCAL and not set_config: Prisma sets the isolation level next, which must come before any query. */
async function beginFor(
  client: pg.PoolClient,
  begin: string,
  scope: TenantScope,
  timeoutMs: number,
): Promise<pg.QueryResult> {
  const settings = `${scope.setLocal}; SET LOCAL statement_timeout = ${timeoutMs}`;
  const results = (await client.query(`${begin}; ${settings}`)) as unknown as pg.QueryResult[];
  return results[0] as pg.QueryResult;
}

/**
 * A Prisma client extension: `prisma.$extends(tenantSafe)`. Prisma merges findUnique calls of one tick over all users
 * of a client into one query, whose tenant is that of the first: measured, B asked for A's id and received A's row.
 * findFirst is not merged, so findUnique becomes findFirst. Load by id through a loader with `id: { in: ids }`.
 */
export const tenantSafe = {
  name: 'tenantSafe',
  model: {
    $allModels: {
      findUnique(args: UniqueArgs): Promise<unknown> {
        return (this as unknown as FindFirst).findFirst(withoutCompoundKeys(args));
      },
      findUniqueOrThrow(args: UniqueArgs): Promise<unknown> {
        return (this as unknown as FindFirst).findFirstOrThrow(withoutCompoundKeys(args));
      },
    },
  },
};

interface UniqueArgs {
  where: Record<string, unknown>;
}
interface FindFirst {
  findFirst(args: UniqueArgs): Promise<unknown>;
  findFirstOrThrow(args: UniqueArgs): Promise<unknown>;
}

/** `{ orgId_id: { orgId, id } }`, which only findUnique understands, as `{ orgId, id }`. */
function withoutCompoundKeys(args: UniqueArgs): UniqueArgs {
  const where = Object.entries(args.where).flatMap(([key, value]) => {
    const isCompound =
      typeof value === 'object' &&
      value !== null &&
      key.includes('_') &&
      Object.keys(value).join('_') === key;
    return isCompound ? Object.entries(value) : [[key, value] as const];
  });
  return { ...args, where: Object.fromEntries(where) };
}
