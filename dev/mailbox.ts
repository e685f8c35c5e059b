/**
 * The local mailbox: an SMTP server that takes every mail and delivers none, and a page that shows them. What a mail
 * catcher is in other projects, without a container.
 *
 *   SMTP ──▶ .eml file in `dir`, the last 500 ──▶ page and /mails.json (mailbox-page.ts)
 *
 * For one person's machine: it listens on loopback only, because the mails hold tokens.
 */
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Log } from '@taskflow/kit/log';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { answerPage } from './mailbox-page.ts';

export interface CaughtMail {
  readonly id: string;
  /** ISO 8601. */
  readonly receivedAt: string;
  readonly from: string;
  /** Whom the envelope named, in lower case. */
  readonly to: readonly string[];
  readonly subject: string;
  readonly messageId: string;
  /** What TaskFlow says it is: `PASSWORD_RESET`; null in mails of others. */
  readonly template: string | null;
  readonly text: string;
  readonly html: string;
  /** The single-use token of its link; null when there is none. */
  readonly token: string | null;
}

export interface Mailbox {
  /** For NOTIFICATION_SMTP_URL. */
  readonly smtpUrl: string;
  readonly pageUrl: string;
  /** Newest first. */
  list(filter?: MailFilter): CaughtMail[];
  stop(): Promise<void>;
}

export interface MailFilter {
  /** A part of a recipient's address, in any case. */
  readonly to?: string | null | undefined;
  readonly template?: string | null | undefined;
}

export interface MailboxOptions {
  readonly smtpPort: number;
  readonly pagePort: number;
  /** Keeps the mails from one start to the next; absent, they are gone with the process. */
  readonly dir?: string;
  readonly log: Log;
}

const HOST = '127.0.0.1';
/** A few days of work; each is some kilobytes. */
const KEPT_MAX = 500;
const MAIL_BYTES_MAX = 1_048_576;

export async function openMailbox({ smtpPort, pagePort, dir, log }: MailboxOptions): Promise<Mailbox> {
  const mails = dir ? await readKept(dir) : [];
  let count = 0;

  async function take(raw: Buffer, recipients: readonly string[]): Promise<void> {
    count += 1;
    // Sorts by arrival, also those of one millisecond.
    const id = `${new Date().toISOString().replaceAll(/\D/g, '')}-${String(count).padStart(4, '0')}`;
    const delivered = recipients.map((to) => `Delivered-To: ${to}\r\n`).join('');
    const file = Buffer.concat([Buffer.from(delivered), raw]);
    const mail = await parseMail(id, file);
    if (dir) await writeFile(fileOf(dir, id), file, { mode: 0o600 });
    mails.push(mail);
    while (mails.length > KEPT_MAX) {
      const dropped = mails.shift();
      if (dir && dropped) await rm(fileOf(dir, dropped.id), { force: true });
    }
  }

  const list = (filter: MailFilter = {}) => mails.filter((mail) => matches(mail, filter)).reverse();
  const smtp = createSmtp(take, log);
  const page = createServer((request, response) => answerPage(request, response, list));
  const [smtpAt, pageAt] = [await listen(smtp.server, smtpPort), await listen(page, pagePort)];

  return {
    smtpUrl: `smtp://${HOST}:${smtpAt}`,
    pageUrl: `http://localhost:${pageAt}`,
    list,
    async stop() {
      page.close();
      page.closeAllConnections();
      await new Promise<void>((resolve) => smtp.close(resolve));
    },
  };
}

type Take = (raw: Buffer, recipients: readonly string[]) => Promise<void>;

function createSmtp(take: Take, log: Log): SMTPServer {
  const smtp = new SMTPServer({
    banner: 'TaskFlow mailbox',
    // On loopback there is nothing to encrypt, and nobody to authenticate.
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    size: MAIL_BYTES_MAX,
    maxClients: 50,
    closeTimeout: 1_000,
    logger: false,
    onData(stream, { envelope }, done) {
      const recipients = envelope.rcptTo.map(({ address }) => address);
      read(stream)
        .then((raw) => take(raw, recipients))
        .then(
          () => done(),
          (error: unknown) => {
            log.warn({ err: error }, 'the mailbox could not keep a mail');
            done(new Error('the mailbox could not keep it'));
          },
        );
    },
  });
  // A client that leaves in the middle is no matter of ours.
  smtp.on('error', (error) => log.debug({ err: error }, 'mailbox'));
  return smtp;
}

async function read(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, HOST);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function matches({ to, template }: CaughtMail, filter: MailFilter): boolean {
  const wanted = filter.to?.trim().toLowerCase();
  if (wanted && !to.some((address) => address.includes(wanted))) return false;
  return !filter.template || filter.template === template;
}

const fileOf = (dir: string, id: string): string => join(dir, `${id}.eml`);

async function readKept(dir: string): Promise<CaughtMail[]> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const names = (await readdir(dir)).filter((name) => /^\d{17}-\d{4,}\.eml$/.test(name)).sort();
  const kept = names.slice(-KEPT_MAX).map((name) => name.slice(0, -'.eml'.length));
  return Promise.all(kept.map(async (id) => parseMail(id, await readFile(fileOf(dir, id)))));
}

/** `id` begins with the moment of arrival, to the millisecond. */
async function parseMail(id: string, file: Buffer): Promise<CaughtMail> {
  const mail = await PostalMime.parse(file);
  const headers = (key: string) =>
    mail.headers.filter((header) => header.key === key).map(({ value }) => value);
  const text = mail.text ?? '';
  return {
    id,
    receivedAt: id.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})-.*$/, '$1-$2-$3T$4:$5:$6.$7Z'),
    from: mail.from?.address ?? '',
    to: headers('delivered-to').map((to) => to.toLowerCase()),
    subject: mail.subject ?? '',
    messageId: mail.messageId ?? '',
    template: headers('x-taskflow-template')[0] ?? null,
    text,
    html: mail.html ?? '',
    token: tokenIn(text),
  };
}

/** It stands in the fragment of the link. */
function tokenIn(text: string): string | null {
  const [, encoded] = /https?:\/\/\S+\/#[\w-]+=(\S+)/.exec(text) ?? [];
  return encoded ? decodeURIComponent(encoded) : null;
}
