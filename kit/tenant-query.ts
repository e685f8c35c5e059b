/**
 * One statement together with its tenant in one round trip.
 *
 *   Bind/Execute taskflow_context(org, user, role, ms)  set_config(…, is_local => true); ms: statement_timeout
 *   Parse?/Bind/Describe/Execute                        the caller's statement
 *   Sync                                                one Sync: both run in one implicit transaction
 *
 * What a connection carries over to its next user is therefore nothing: the settings end with the Sync.
 * This subclasses pg's Query, an internal shape. pg is pinned; at every upgrade run tenant-pool.int.test.ts, and
 * when it fails, `scope: 'transaction'` of TenantPool does the same over the public interface in three round trips.
 */
import pg from 'pg';
import type { TenantScope } from './tenant-pool.ts';

const CONTEXT_STATEMENT = 'taskflow_context';
const CONTEXT_SQL =
  "select set_config('app.org_id', $1, true), set_config('app.user_id', $2, true), set_config('app.role', $3, true), set_config('statement_timeout', $4, true)";

/** Prepares the context statement on a new connection; awaited by the pool before the connection is lent. */
export async function prepareContext(client: pg.ClientBase): Promise<void> {
  await client.query({ name: CONTEXT_STATEMENT, text: CONTEXT_SQL, values: ['', '', '', '0'] });
}

type Settle = (error: Error | null | undefined, result: pg.QueryResult) => void;

interface ProtocolConnection {
  bind(config: {
    portal: string;
    statement: string;
    values: readonly string[];
    binary: boolean;
    valueMapper(value: string): string;
  }): void;
  execute(config: { portal: string; rows: number }): void;
}

interface PgQuery extends pg.Submittable {
  queryMode: string | undefined;
  prepare(connection: ProtocolConnection): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: ProtocolConnection): void;
}

const PgQuery = pg.Query as unknown as new (
  config: pg.QueryConfig,
  values: undefined,
  settle: Settle,
) => PgQuery;

const asIs = (value: string) => value;

export class TenantQuery extends PgQuery {
  readonly #tenant: TenantScope;
  readonly #timeoutMs: number;
  /** The first CommandComplete, and the row before it, belong to the context statement. */
  #answersContext = true;

  constructor(config: pg.QueryConfig, tenant: TenantScope, timeoutMs: number, settle: Settle) {
    super(config, undefined, settle);
    this.#tenant = tenant;
    this.#timeoutMs = timeoutMs;
    // The simple protocol has no Bind, and would accept several statements in one text.
    this.queryMode = 'extended';
  }

  override prepare(connection: ProtocolConnection): void {
    connection.bind({
      portal: '',
      statement: CONTEXT_STATEMENT,
      values: [...this.#tenant.values, String(this.#timeoutMs)],
      binary: false,
      valueMapper: asIs,
    });
    connection.execute({ portal: '', rows: 0 });
    super.prepare(connection);
  }

  override handleDataRow(message: unknown): void {
    if (!this.#answersContext) super.handleDataRow(message);
  }

  override handleCommandComplete(message: unknown, connection: ProtocolConnection): void {
    if (this.#answersContext) this.#answersContext = false;
    else super.handleCommandComplete(message, connection);
  }
}
