import { type Config, readConfig, sharedVariables, url } from '@taskflow/kit/config';
import { databaseOf, type Role, roleOf, type Subgraph, subgraphs, variableOf } from './databases.ts';

const postgres = { secret: true, protocols: ['postgresql', 'postgres'] };

function addresses(role: Role, description: string) {
  const address = (subgraph: Subgraph) =>
    url(
      `postgresql://${roleOf(subgraph, role)}:insecure-for-production@127.0.0.1:5432/${databaseOf(subgraph)}`,
      postgres,
    ).describe(description);
  return Object.fromEntries(subgraphs.map((subgraph) => [variableOf(subgraph, role), address(subgraph)]));
}

/** What `node prisma/migrate.ts` reads. */
export const variables = {
  TASKFLOW_MODE: sharedVariables.TASKFLOW_MODE,
  POSTGRES_ADMIN_URL: url('', postgres)
    .optional()
    .meta({ secret: true })
    .describe(
      'PostgreSQL, as an administrator: makes the roles and databases before migrating. Without it they must exist.',
    ),
  ...addresses('owner', 'PostgreSQL, as the role that migrates.'),
};

/** What it reads as well when POSTGRES_ADMIN_URL is set: the passwords for the roles it makes. */
export const bootstrapVariables = {
  ...variables,
  ...addresses('app', 'PostgreSQL, as the role that serves requests under row security.'),
  ...addresses('system', 'PostgreSQL, as the role of the relay and of retention.'),
};

export type PrismaConfig = Config<typeof variables> & Readonly<Record<string, string | undefined>>;

export function readPrismaConfig(env: NodeJS.ProcessEnv): PrismaConfig {
  return readConfig('migrate', env.POSTGRES_ADMIN_URL ? bootstrapVariables : variables, env) as PrismaConfig;
}

/** The twelve addresses with their development defaults, whatever the mode: for databases that live as long as a test. */
export function readAddresses(env: NodeJS.ProcessEnv): Readonly<Record<string, string | undefined>> {
  return readConfig('scratch', bootstrapVariables, { ...env, TASKFLOW_MODE: 'development' }) as PrismaConfig;
}
