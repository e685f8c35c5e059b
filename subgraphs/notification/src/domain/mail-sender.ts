/**
 * The jobs mail-sending and mail-retention: from the queue to SMTP. Apart from everything else on purpose: facts and
 * requests go on whatever the mail server does, and no database connection is held while it is spoken to.
 *
 *   QUEUED ── take (lease) ──▶ an attempt ── taken by SMTP ──▶ SENT
 *     ▲                           ├─ not now: 5 s, 10 s, … 30 min ──▶ QUEUED
 *     └── lease ran out (crash) ──┘─ never, or after a day of attempts ──▶ FAILED
 *
 * At least once: a crash between SMTP's OK and the mark sends the mail again, with the same Message-ID.
 */
import { createBell, createTroubles } from '@taskflow/kit/background';
import type { Log } from '@taskflow/kit/log';
import type { Sealer } from '@taskflow/kit/seal';
import { bindingOfMail } from '@taskflow/schema/events';
import type { DueMail, MailQueue } from '../data/mails.ts';
import { type RenderedMail, renderMail } from './mail-templates.ts';

/** The mail server; rejects with an error that has `isFinal` where another attempt is of no use. */
export interface Postman {
  send(message: RenderedMail & { to: string; id: string; template: string }): Promise<void>;
  close(): void;
}

export interface MailSenderDeps {
  readonly queue: MailQueue;
  /** Null where no server is configured: mails stay queued. */
  readonly postman: Postman | null;
  readonly sealer: Sealer;
  readonly linkBase: string;
  /** Mails under way at once. */
  readonly slots: number;
  readonly log: Log;
}

export interface MailSender {
  start(): void;
  /** There is a new mail: look now. Safe to call at any time. */
  wake(): void;
  /** Takes no more, waits for what is under way, at most 3 s, and cuts the rest: their leases run out. */
  stop(): Promise<void>;
}

/** New mails ring; this is for retries and for those of other replicas. An empty look reads one page of an index. */
const LOOK_EVERY_MS = 1_000;
const RETENTION_EVERY_MS = 3_600_000;
/** Below the 5 s that a service grants each part when it stops. */
const STOP_WAIT_MS = 3_000;

export function createMailSender(deps: MailSenderDeps): MailSender {
  const { queue, postman, slots, log } = deps;
  const bell = createBell();
  const troubles = createTroubles(log);
  const underWay = new Set<Promise<void>>();
  let isStopping = false;
  let isCut = false;
  let looping: Promise<void> = Promise.resolve();
  let retention: NodeJS.Timeout | undefined;

  async function loop(by: Postman): Promise<void> {
    while (!isStopping) {
      const free = slots - underWay.size;
      const taken = free > 0 ? await troubles.watch('taking mails', () => queue.take(free)) : [];
      for (const mail of taken ?? []) {
        const attempt = settle(mail, by).finally(() => {
          underWay.delete(attempt);
          bell.ring();
        });
        underWay.add(attempt);
      }
      if (!taken?.length || underWay.size >= slots) await bell.wait(LOOK_EVERY_MS);
    }
  }

  /** Never rejects: a mark that cannot be written is a lease that runs out. */
  async function settle(mail: DueMail, by: Postman): Promise<void> {
    const about = { orgId: mail.orgId, mailId: mail.id, template: mail.template, attempts: mail.attempts };
    const outcome = await attemptToSend(mail, by, deps);
    // We have stopped, nobody has refused: for another replica, at once.
    if (isCut && outcome.state !== 'SENT')
      return void (await queue.putBack(mail, 0, 'cut off').catch(() => {}));
    await troubles.watch('marking mails', async () => {
      if (outcome.state === 'SENT') return queue.markSent(mail);
      if (outcome.state === 'QUEUED') return queue.putBack(mail, backOff(mail.attempts), outcome.reason);
      log.warn({ ...about, reason: outcome.reason }, 'a mail was given up');
      return queue.markFailed(mail, outcome.reason);
    });
    if (outcome.state === 'SENT') log.info(about, 'mail sent');
    await troubles.watch('sending mails', async () => {
      if (outcome.state === 'QUEUED') throw new Error(outcome.reason);
    });
  }

  const deleteOld = () => void troubles.watch('mail retention', () => queue.deleteSettled());

  return {
    start() {
      retention ??= setInterval(deleteOld, RETENTION_EVERY_MS).unref();
      if (postman) looping = loop(postman);
      else log.warn('NOTIFICATION_SMTP_URL is not set: mails stay queued');
    },
    wake: bell.ring,
    async stop() {
      isStopping = true;
      clearInterval(retention);
      bell.ring();
      await looping;
      await Promise.race([Promise.all(underWay), pause(STOP_WAIT_MS)]);
      isCut = true;
      postman?.close();
      await Promise.all(underWay);
    },
  };
}

type Outcome = { readonly state: 'SENT' } | { readonly state: 'QUEUED' | 'FAILED'; readonly reason: string };

const failed = (reason: string): Outcome => ({ state: 'FAILED', reason });

/** What may be mended: tried again, for as long as a mail may wait. */
const later = ({ isLast }: DueMail, reason: string): Outcome => ({
  state: isLast ? 'FAILED' : 'QUEUED',
  reason,
});

/** An address, and nothing that a header or an envelope could read as two. */
const ADDRESS = /^[^\s<>(),;:"\\[\]\p{Cc}]+@[^\s<>(),;:"\\[\]\p{Cc}]+$/u;

async function attemptToSend(
  mail: DueMail,
  by: Postman,
  { sealer, linkBase }: Pick<MailSenderDeps, 'sealer' | 'linkBase'>,
): Promise<Outcome> {
  const { recipient: to, template, values, sealed } = mail;
  if (!ADDRESS.test(to)) return failed('the recipient is no address');
  // Late after an outage: a link that does not work any more helps nobody.
  if (Date.parse(values.expiresAt ?? '') < Date.now()) return failed('what it offers has expired');
  const token = sealed === null ? null : sealer.open(sealed, bindingOfMail({ template, to }));
  // A key that is being rotated, a release that is being rolled out: another attempt finds the other one.
  if (sealed !== null && token === null) return later(mail, 'its token does not open with MAIL_SEAL_KEY');
  const rendered = renderMail({ template, values, token, linkBase });
  if (!rendered) return later(mail, 'its template is unknown');
  try {
    await by.send({ ...rendered, to, id: mail.id, template });
    return { state: 'SENT' };
  } catch (error) {
    const { message, isFinal } = error as { message: string; isFinal?: boolean };
    return isFinal ? failed(message) : later(mail, message);
  }
}

const BACK_OFF_MIN_MS = 5_000;
const BACK_OFF_MAX_MS = 1_800_000;

/** 5 s, doubled with each attempt up to 30 min, and up to a half less: those who failed together come back apart. */
export function backOff(attempts: number, random: () => number = Math.random): number {
  const full = Math.min(BACK_OFF_MIN_MS * 2 ** (attempts - 1), BACK_OFF_MAX_MS);
  return Math.round(full * (1 - random() / 2));
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
