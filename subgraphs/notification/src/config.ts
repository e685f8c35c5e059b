import {
  auditVariables,
  type Config,
  keyRing,
  readConfig,
  sharedVariables,
  subgraphVariables,
} from '@taskflow/kit/config';

export const variables = {
  ...sharedVariables,
  ...auditVariables,
  ...subgraphVariables('NOTIFICATION', 4004),
  MAIL_SEAL_KEY: keyRing('dev:insecure-for-production-mail-seal-key').describe(
    'Seals the tokens of mails from user to notification; the same for both: "<key id>:<secret>", two comma-separated while rotating; the first seals.',
  ),
};

export type NotificationConfig = Config<typeof variables>;

/** Parses the environment; throws one ConfigError that names every problem. */
export const readNotificationConfig = (env: NodeJS.ProcessEnv): NotificationConfig =>
  readConfig('notification', variables, env);
