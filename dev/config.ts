/** Where the mailbox of the launcher listens, when NOTIFICATION_SMTP_URL names no other. */
export const mailboxVariables = {
  MAILBOX_SMTP_PORT: port(4025).describe('Port of the local mailbox for SMTP; 0 takes a free one.'),
  MAILBOX_PORT: port(4026).describe('Port of the page that shows what arrived there; 0 takes a free one.'),
};

/** What the launcher itself reads, beside the variables of the processes that it starts. */
import { port, text } from '@taskflow/kit/config';

export const variables = {
  TASKFLOW_DIR: text('.taskflow').describe(
    'Folder with the embedded servers, their data and the generated secrets, from the root of the repository.',
  ),
  DATABASE_PASSWORD: text('insecure-for-production').describe(
    'Password of all roles of the PostgreSQL in docker-compose.yml.',
  ),
  ...mailboxVariables,
};
