/**
 * Which PostgreSQL each subgraph uses, and as whom. `X_DATABASE_URL` decides, per subgraph:
 *
 *   absent                     the embedded server, prepared through its administrator
 *   a role that may create     that server, prepared through this role: databases and roles are made there
 *   any other role             it is the serving role already, and X_SYSTEM_DATABASE_URL and
 *                              X_OWNER_DATABASE_URL name the other two
 *
 * In the first two cases the three addresses are derived; passwords come from the installation's secrets.
 */
import { bootstrap } from '@taskflow/prisma/bootstrap';
import { migrate } from '@taskflow/prisma/migrate';
import pg from 'pg';

export const SUBGRAPHS = ['user', 'org', 'task', 'notification'] as const;
export type Subgraph = (typeof SUBGRAPHS)[number];

const ROLES = ['app', 'system', 'owner'] as const;
type Role = (typeof ROLES)[number];

/** A server on this machine or network that does not answer for this long is not there. */
const CONNECT_TIMEOUT_MS = 5_000;

export const roleOf = (subgraph: Subgraph, role: Role) => `taskflow_${subgraph}_${role}`;

/** The names under which the passwords of the derived roles are kept. */
export const ROLE_NAMES = SUBGRAPHS.flatMap((subgraph) => ROLES.map((role) => roleOf(subgraph, role)));

export function variableOf(subgraph: Subgraph, role: Role): string {
  const prefix = subgraph.toUpperCase();
  return role === 'app' ? `${prefix}_DATABASE_URL` : `${prefix}_${role.toUpperCase()}_DATABASE_URL`;
}

/** The subgraphs that bring no address, and so need the embedded server. */
export function findHomeless(env: NodeJS.ProcessEnv): Subgraph[] {
  return SUBGRAPHS.filter((subgraph) => !env[variableOf(subgraph, 'app')]);
}

/**
 * Creates what is missing, migrates the four databases and returns the addresses as variables. Safe to call
 * on every start. `embeddedUrl` is the administrator's address of the embedded server, where one runs.
 */
export async function openDatabases(options: {
  env: NodeJS.ProcessEnv;
  embeddedUrl: string | null;
  passwords: Readonly<Record<string, string>>;
}): Promise<Record<string, string>> {
  const { env, embeddedUrl, passwords } = options;
  const adminUrls = new Map<string, Subgraph[]>();
  const urls: Record<string, string> = {};
  for (const subgraph of SUBGRAPHS) {
    const given = env[variableOf(subgraph, 'app')];
    const adminUrl = given ? await adminUrlOf(subgraph, given, env) : embeddedUrl;
    if (adminUrl === null) continue; // the three addresses were given and stay as they are
    adminUrls.set(adminUrl, [...(adminUrls.get(adminUrl) ?? []), subgraph]);
    for (const role of ROLES)
      urls[variableOf(subgraph, role)] = deriveUrl(adminUrl, subgraph, role, passwords);
  }
  for (const [adminUrl, subgraphs] of adminUrls) await bootstrap({ adminUrl, subgraphs, passwords });
  for (const subgraph of SUBGRAPHS) {
    const name = variableOf(subgraph, 'owner');
    await migrate({ subgraph, url: urls[name] ?? env[name] ?? '' });
  }
  return urls;
}

/** The given address when its role may create databases and roles; null when it is the serving role. */
async function adminUrlOf(subgraph: Subgraph, url: string, env: NodeJS.ProcessEnv): Promise<string | null> {
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
  const missing = (['system', 'owner'] as const)
    .map((role) => variableOf(subgraph, role))
    .filter((name) => !env[name]);
  if (missing.length === 0) return null;
  throw new Error(
    `${variableOf(subgraph, 'app')}: its role may not create databases and roles, so ${missing.join(' and ')} must be set too (or give a role that may).`,
  );
}

function deriveUrl(
  adminUrl: string,
  subgraph: Subgraph,
  role: Role,
  passwords: Readonly<Record<string, string>>,
): string {
  const url = new URL(adminUrl);
  url.username = roleOf(subgraph, role);
  url.password = passwords[url.username] ?? '';
  url.pathname = `/taskflow_${subgraph}`;
  return url.href;
}
