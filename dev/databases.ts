/**
 * Which PostgreSQL each subgraph uses, and as whom. `X_DATABASE_URL` decides, per subgraph:
 *
 *   absent                     the server of POSTGRES_ADMIN_URL, else the embedded one, prepared through its
 *                              administrator
 *   a role that may create     that server, prepared through this role: databases and roles are made there
 *   any other role             it is the serving role already, and X_SYSTEM_DATABASE_URL and
 *                              X_OWNER_DATABASE_URL name the other two
 *
 * In the first two cases the three addresses are derived; passwords come from the installation's secrets.
 */
import { bootstrap } from '@taskflow/prisma/bootstrap';
import { roleOf, roles, type Subgraph, subgraphs, urlOf, variableOf } from '@taskflow/prisma/databases';
import { migrate } from '@taskflow/prisma/migrate';
import pg from 'pg';

/** A server on this machine or network that does not answer for this long is not there. */
const CONNECT_TIMEOUT_MS = 5_000;

/** The names under which the passwords of the derived roles are kept. */
export const ROLE_NAMES = subgraphs.flatMap((subgraph) => roles.map((role) => roleOf(subgraph, role)));

/** Whether a subgraph is left without an address. */
export function needsEmbedded(env: NodeJS.ProcessEnv): boolean {
  return !env.POSTGRES_ADMIN_URL && subgraphs.some((subgraph) => !env[variableOf(subgraph, 'app')]);
}

export interface DatabaseAccess {
  env: NodeJS.ProcessEnv;
  /** The administrator's address of the embedded server, where it runs. */
  embeddedUrl: string | null;
  passwords: Readonly<Record<string, string>>;
}

/** Creates what is missing, migrates the four databases and returns the addresses as variables. Safe to call on every start. */
export async function openDatabases(access: DatabaseAccess): Promise<Record<string, string>> {
  const { urls, adminUrls } = await derive(access, ['system', 'owner']);
  const { env, passwords } = access;
  for (const [adminUrl, subgraphs] of adminUrls) await bootstrap({ adminUrl, subgraphs, passwords });
  for (const subgraph of subgraphs) {
    const name = variableOf(subgraph, 'owner');
    await migrate({ subgraph, url: urls[name] ?? env[name] ?? '' });
  }
  return urls;
}

/** The addresses as variables; changes nothing. */
export const findDatabases = async (access: DatabaseAccess): Promise<Record<string, string>> =>
  (await derive(access, ['system'])).urls;

/** `needed`: whose addresses must be given beside that of the serving role. */
async function derive(options: DatabaseAccess, needed: readonly ('system' | 'owner')[]) {
  const { env, passwords } = options;
  const ownUrl = options.embeddedUrl ?? env.POSTGRES_ADMIN_URL ?? null;
  const adminUrls = new Map<string, Subgraph[]>();
  const urls: Record<string, string> = {};
  for (const subgraph of subgraphs) {
    const given = env[variableOf(subgraph, 'app')];
    const adminUrl = given ? await adminUrlOf(subgraph, given, env, needed) : ownUrl;
    if (adminUrl === null) continue; // the three addresses were given and stay as they are
    adminUrls.set(adminUrl, [...(adminUrls.get(adminUrl) ?? []), subgraph]);
    for (const role of roles)
      urls[variableOf(subgraph, role)] = urlOf(adminUrl, {
        subgraph,
        role,
        password: passwords[roleOf(subgraph, role)] ?? '',
      });
  }
  return { urls, adminUrls };
}

/** The given address when its role may create databases and roles; null when it is the serving role. */
async function adminUrlOf(
  subgraph: Subgraph,
  url: string,
  env: NodeJS.ProcessEnv,
  needed: readonly ('system' | 'owner')[],
): Promise<string | null> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => {}); // the query below reports it
  try {
    await client.connect();
    const { rows } = await client.query<{ creates: boolean }>(
      'select rolsuper or (rolcreaterole and rolcreatedb) as creates from pg_roles where rolname = current_user',
    );
    if (rows[0]?.creates) return url;
  } catch (error) {
    const { host } = new URL(url);
    throw new Error(
      `${variableOf(subgraph, 'app')}: ${host} refused: ${(error as Error).message || (error as { code?: string }).code}`,
    );
  } finally {
    await client.end().catch(() => {});
  }
  const missing = needed.map((role) => variableOf(subgraph, role)).filter((name) => !env[name]);
  if (missing.length === 0) return null;
  throw new Error(
    `${variableOf(subgraph, 'app')}: its role may not create databases and roles, so ${missing.join(' and ')} must be set too (or give a role that may).`,
  );
}
