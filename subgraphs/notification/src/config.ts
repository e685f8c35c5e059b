import {
  auditVariables,
  type Config,
  keyRing,
  readConfig,
  sharedVariables,
  subgraphVariables,
  text,
  url,
} from '@taskflow/kit/config';

const MAIL_FROM = /^(?:[^<>\p{Cc}]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/u;

export const variables = {
  ...sharedVariables,
  ...auditVariables,
  ...subgraphVariables('NOTIFICATION', 4004),
  MAIL_SEAL_KEY: keyRing('dev:insecure-for-production-mail-seal-key').describe(
    'Seals the tokens of mails from user to notification; the same for both: "<key id>:<secret>", two comma-separated while rotating; the first seals.',
  ),
  NOTIFICATION_SMTP_URL: url('', { secret: true, protocols: ['smtp', 'smtps'] })
    .optional()
    .meta({ secret: true })
    .describe(
      'Mail server: smtp://user:password@host:587 (STARTTLS where it is offered; ?requireTLS=true insists) or smtps://…. Without it mails stay queued; the launcher brings a mailbox of its own.',
    ),
  NOTIFICATION_MAIL_FROM: text('no-reply@localhost')
    .refine((from) => MAIL_FROM.test(from), 'expected "Name <address>" or an address')
    .describe(
      'Sender of mails: an address, or "Name <address>". Its domain stands in their Message-IDs as well.',
    ),
  NOTIFICATION_MAIL_LINK_BASE: url('http://localhost:4000', { protocols: ['http', 'https'] }).describe(
    'Where the links in mails lead: the address of the page that people use, without a path.',
  ),
};

export type NotificationConfig = Config<typeof variables>;

/** Parses the environment; throws one ConfigError that names every problem. */
export const readNotificationConfig = (env: NodeJS.ProcessEnv): NotificationConfig =>
  readConfig('notification', variables, env);
