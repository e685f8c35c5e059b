import {
  auditVariables,
  type Config,
  readConfig,
  sharedVariables,
  subgraphVariables,
} from '@taskflow/kit/config';

export const variables = { ...sharedVariables, ...auditVariables, ...subgraphVariables('ORG', 4002) };

export type OrgConfig = Config<typeof variables>;

/** Parses the environment; throws one ConfigError that names every problem. */
export const readOrgConfig = (env: NodeJS.ProcessEnv): OrgConfig => readConfig('org', variables, env);
