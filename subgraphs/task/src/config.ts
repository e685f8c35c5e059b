import {
  auditVariables,
  type Config,
  readConfig,
  sharedVariables,
  subgraphVariables,
} from '@taskflow/kit/config';

export const variables = { ...sharedVariables, ...auditVariables, ...subgraphVariables('TASK', 4003) };

export type TaskConfig = Config<typeof variables>;

/** Parses the environment; throws one ConfigError that names every problem. */
export const readTaskConfig = (env: NodeJS.ProcessEnv): TaskConfig => readConfig('task', variables, env);
