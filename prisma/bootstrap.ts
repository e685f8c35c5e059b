/**
 * Bootstrap: what must exist on a PostgreSQL server before the first migration, made by an administrator.
 *
 *   roles      three per subgraph: may log in, and have no power beyond what migrations grant
 *   databases  one per subgraph, of its _owner; nobody but its own three roles may connect
 *
 * Idempotent and safe to run from several places at once. Never undoes anything, never touches a table. An administrator
 * without superuser powers will do (a managed server): CREATEROLE and CREATEDB are enough.
 *
 *   POSTGRES_ADMIN_URL=… node prisma/bootstrap.ts
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import pg from 'pg';
import { runCommand } from './command.ts';
import { readPrismaConfig } from './config.ts';
import { databaseOf, type Role, roleOf, roles, type Subgraph, subgraphs, variableOf } from './databases.ts';

export interface BootstrapOptions {
  adminUrl: string;
  /** All four when absent. */
  subgraphs?: readonly Subgraph[];
  /** By role name, as `roleOf` gives it. An existing role gets the password given here. */
  passwords: Readonly<Record<string, string>>;
  /** Another name for a subgraph's database: for tests. */
  databaseOf?(subgraph: Subgraph): string;
}

/** Row security with several policies, ICU collations and SET options of role membership are as in 16. */
const SERVER_VERSION_MIN = 160_000;

/**
 * Settings of every session of a role. UTC is not a taste: Prisma's driver adapter drops the offset of a timestamptz and
 * takes what is left for UTC. The timeouts end what a crashed or stuck process left behind (requests end much earlier).
 */
const SETTINGS: Record<Role, Record<string, string>> = {
  owner: { timezone: 'UTC' },
  app: { timezone: 'UTC', statement_timeout: '15s', idle_in_transaction_session_timeout: '15s' },
  system: { timezone: 'UTC', idle_in_transaction_session_timeout: '60s' },
};

/** Makes what is missing; resolves to the names of the databases that were new. */
export async function bootstrap(options: BootstrapOptions): Promise<string[]> {
  const made: string[] = [];
  await asAdmin(options.adminUrl, undefined, async (admin) => {
    const { rows } = await admin.query<{ version: number; name: string }>(
      "select current_setting('server_version_num')::int as version, current_setting('server_version') as name",
    );
    if ((rows[0]?.version ?? 0) < SERVER_VERSION_MIN) {
      throw new Error(`PostgreSQL ${rows[0]?.name} is too old: TaskFlow needs 16 or newer`);
    }
    // Held by the session, for CREATE DATABASE cannot run in a transaction.
    await admin.query("select pg_advisory_lock(hashtext('taskflow bootstrap'))");
    for (const subgraph of options.subgraphs ?? subgraphs) {
      const database = (options.databaseOf ?? databaseOf)(subgraph);
      for (const role of roles) await ensureRole(admin, subgraph, role, options.passwords);
      if (await ensureDatabase(admin, subgraph, database)) made.push(database);
      await asAdmin(options.adminUrl, database, (client) => prepare(client, subgraph));
    }
  });
  return made;
}

async function ensureRole(
  admin: pg.Client,
  subgraph: Subgraph,
  role: Role,
  passwords: Readonly<Record<string, string>>,
): Promise<void> {
  const name = roleOf(subgraph, role);
  const password = passwords[name];
  if (!password) throw new Error(`no password for role ${name}`);
  const { rows } = await admin.query<{ hasPower: boolean }>(
    `select rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication as "hasPower"
       from pg_catalog.pg_roles where rolname = $1`,
    [name],
  );
  if (!rows[0]) await admin.query(`create role ${name}`);
  // Only when needed: changing these takes a superuser.
  if (rows[0]?.hasPower) {
    await admin.query(`alter role ${name} nosuperuser nobypassrls nocreatedb nocreaterole noreplication`);
  }
  await admin.query(`alter role ${name} login password '${scramVerifier(password)}'`);
  for (const [setting, value] of Object.entries(SETTINGS[role])) {
    await admin.query(`alter role ${name} set ${setting} = '${value}'`);
  }
}

async function ensureDatabase(admin: pg.Client, subgraph: Subgraph, database: string): Promise<boolean> {
  const owner = roleOf(subgraph, 'owner');
  const name = pg.escapeIdentifier(database);
  const { rows } = await admin.query<{ owner: string }>(
    'select pg_catalog.pg_get_userbyid(datdba) as owner from pg_catalog.pg_database where datname = $1',
    [database],
  );
  // Giving something to a role takes membership in it, unless one is a superuser.
  const { rows: me } = await admin.query<{ may: boolean }>("select pg_has_role($1, 'SET') as may", [owner]);
  if (!me[0]?.may) await admin.query(`grant ${owner} to current_user with inherit true, set true`);
  if (!rows[0]) {
    // C: the same order of bytes on every machine; columns that people read name an ICU collation of their own.
    await admin.query(`create database ${name} owner ${owner} template template0 encoding 'UTF8' locale 'C'`);
  } else if (rows[0].owner !== owner) {
    await admin.query(`alter database ${name} owner to ${owner}`);
  }
  await closeDatabase(admin, subgraph, database);
  return !rows[0];
}

/** Nobody but the three roles of its subgraph may connect. A copy of a database does not inherit that. */
export async function closeDatabase(admin: pg.Client, subgraph: Subgraph, database: string): Promise<void> {
  const name = pg.escapeIdentifier(database);
  await admin.query(`revoke all on database ${name} from public`);
  await admin.query(
    `grant connect on database ${name} to ${roleOf(subgraph, 'app')}, ${roleOf(subgraph, 'system')}`,
  );
}

async function prepare(client: pg.Client, subgraph: Subgraph): Promise<void> {
  // The migrations own the schema; what they make is closed until they grant it.
  await client.query('revoke all on schema public from public');
  await client.query(
    `grant usage on schema public to ${roleOf(subgraph, 'app')}, ${roleOf(subgraph, 'system')}`,
  );
  await client.query('create extension if not exists btree_gin with schema public');
}

async function asAdmin<T>(
  adminUrl: string,
  database: string | undefined,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const url = new URL(adminUrl);
  if (database !== undefined) url.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** SCRAM's default (RFC 7677). */
const SCRAM_ITERATIONS = 4096;

/** What PostgreSQL stores for a password (RFC 5803), so that no log of statements ever holds the password itself. */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, SCRAM_ITERATIONS, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/** The passwords of all roles, out of the addresses at which the processes log in. */
export function passwordsOf(addresses: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passwords: Record<string, string> = {};
  for (const subgraph of subgraphs) {
    for (const role of roles) {
      const variable = variableOf(subgraph, role);
      const url = new URL(addresses[variable] ?? '');
      const name = roleOf(subgraph, role);
      if (decodeURIComponent(url.username) !== name) {
        throw new Error(`${variable} logs in as ${url.username}: the policies of the tables name ${name}`);
      }
      passwords[name] = decodeURIComponent(url.password);
    }
  }
  return passwords;
}

if (import.meta.main) {
  await runCommand('bootstrap', async () => {
    const config = readPrismaConfig(process.env);
    if (!config.POSTGRES_ADMIN_URL)
      throw new Error('set POSTGRES_ADMIN_URL to the address of an administrator');
    const made = await bootstrap({ adminUrl: config.POSTGRES_ADMIN_URL, passwords: passwordsOf(config) });
    return made.length > 0 ? `made ${made.join(', ')}` : 'nothing was missing';
  });
}
