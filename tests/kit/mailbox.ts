/** The mailbox of a test: real SMTP, and what arrived. */
import { type CaughtMail, openMailbox } from '@taskflow/dev/mailbox';
import { createLog } from '@taskflow/kit/log';
import { afterAll } from 'vitest';
import { until } from './until.ts';

export interface TestMailbox {
  /** For NOTIFICATION_SMTP_URL; `aSupergraph({ mailbox })` sets it. */
  readonly smtpUrl: string;
  readonly pageUrl: string;
  /**
   * The next mail to this address that was not read yet, in order of arrival; waits for it. `token` is that of its link.
   * With a template, those of others are left for later.
   */
  mailTo(email: string, template?: string): Promise<CaughtMail>;
  /** All that have arrived so far, read or not, oldest first. */
  mailsTo(email: string, template?: string): CaughtMail[];
  /** Nobody listens at its address any more. */
  goDown(): Promise<void>;
  /** At the same address, without the mails of before. */
  comeBack(): Promise<void>;
}

/** Call it in beforeAll, or in a test. */
export async function aMailbox(): Promise<TestMailbox> {
  const log = createLog({ process: 'mailbox', level: 'silent' });
  let mailbox = await openMailbox({ smtpPort: 0, pagePort: 0, log });
  let isUp = true;
  const read = new Set<CaughtMail>();
  const { smtpUrl, pageUrl } = mailbox;

  const mailsTo = (email: string, template?: string) =>
    mailbox
      .list({ template })
      .filter(({ to }) => to.includes(email.toLowerCase()))
      .reverse();
  const goDown = async () => {
    if (isUp) await mailbox.stop();
    isUp = false;
  };
  afterAll(goDown);

  return {
    ...{ smtpUrl, pageUrl, mailsTo, goDown },
    async mailTo(email, template) {
      const what = `a mail ${template ?? ''} to ${email}`;
      const mail = await until(what, () => mailsTo(email, template).find((mail) => !read.has(mail)));
      read.add(mail);
      return mail;
    },
    async comeBack() {
      const [smtpPort, pagePort] = [smtpUrl, pageUrl].map((url) => Number(new URL(url).port));
      mailbox = await openMailbox({ smtpPort: smtpPort ?? 0, pagePort: pagePort ?? 0, log });
      isUp = true;
    },
  };
}
