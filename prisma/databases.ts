/** The four databases: one per subgraph, with three roles each, named alike everywhere because policies name them. */

export const subgraphs = ['user', 'org', 'task', 'notification'] as const;
export type Subgraph = (typeof subgraphs)[number];

/**
 *   owner   migrates; owns the tables and the search functions
 *   app     serves requests, one tenant at a time, under row security
 *   system  relay, retention and named jobs
 */
export const roles = ['owner', 'app', 'system'] as const;
export type Role = (typeof roles)[number];

export function databaseOf(subgraph: Subgraph): string {
  return `taskflow_${subgraph}`;
}

export function roleOf(subgraph: Subgraph, role: Role): string {
  return `taskflow_${subgraph}_${role}`;
}

/** The variable with the address at which a process logs in as that role. */
export function variableOf(subgraph: Subgraph, role: Role): string {
  return `${subgraph.toUpperCase()}_${role === 'app' ? '' : `${role.toUpperCase()}_`}DATABASE_URL`;
}

/** `adminUrl` with another login and database: the same server, the same parameters. */
export function urlOf(
  adminUrl: string,
  login: { subgraph: Subgraph; role: Role; password: string; database?: string },
): string {
  const url = new URL(adminUrl);
  url.username = roleOf(login.subgraph, login.role);
  url.password = encodeURIComponent(login.password);
  url.pathname = `/${login.database ?? databaseOf(login.subgraph)}`;
  return url.href;
}
