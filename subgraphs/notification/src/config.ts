import { type Config, readConfig, sharedVariables, subgraphVariables } from '@taskflow/kit/config';

export const variables = { ...sharedVariables, ...subgraphVariables('NOTIFICATION', 4004) };

export type NotificationConfig = Config<typeof variables>;

/** Parses the environment; throws one ConfigError that names every problem. */
export const readNotificationConfig = (env: NodeJS.ProcessEnv): NotificationConfig =>
  readConfig('notification', variables, env);
