/**
 * The mail server, through nodemailer's pool. Every wait has an end, so that a server that takes the connection and never
 * answers costs an attempt and nothing else.
 */
import { createTransport } from 'nodemailer';

export interface Message {
  /** Who it is for: an address, and nothing that could be read as two. */
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** The left half of the Message-ID. Alike in every attempt: a server that has seen it may drop the second copy. */
  readonly id: string;
  readonly template: string;
}

/** Why a mail was not taken, in words that name no person: what a server says may quote the address. */
export class SmtpError extends Error {
  override readonly name = 'SmtpError';
  /** The server refuses this mail, now and later. */
  readonly isFinal: boolean;
  constructor(message: string, isFinal: boolean) {
    super(message);
    this.isFinal = isFinal;
  }
}

export interface Smtp {
  /** Resolves when the server has taken the mail; rejects with SmtpError. */
  send(message: Message): Promise<void>;
  /** Cuts what is in flight. */
  close(): void;
}

export interface SmtpOptions {
  /** `smtp://` (STARTTLS where it is offered) or `smtps://`, with credentials. */
  readonly url: string;
  /** An address, or `Name <address>`. */
  readonly from: string;
}

/** How many mails are under way at once; more would wait for a connection inside their lease. */
export const CONNECTIONS_MAX = 5;
/** Servers on the internet answer within seconds; some keep a stranger waiting for 5 s on purpose. */
const CONNECT_TIMEOUT_MS = 10_000;
const SILENCE_TIMEOUT_MS = 20_000;
/** A whole attempt, for a server that answers by the letter. The lease of a mail is longer. */
export const ATTEMPT_TIMEOUT_MS = 45_000;

export function createSmtp({ url, from }: SmtpOptions): Smtp {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: CONNECTIONS_MAX,
    // Attempts are counted in the database, and only there.
    maxRequeues: 0,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const sender = from.includes('<') ? from : `TaskFlow <${from}>`;
  const host = domainOf(from);

  return {
    async send({ to, subject, text, html, id, template }) {
      try {
        await transport.sendMail({
          ...{ from: sender, to: { name: '', address: to }, subject, text, html },
          messageId: `<${id}@${host}>`,
          headers: { 'Auto-Submitted': 'auto-generated', 'X-TaskFlow-Template': template },
          signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
        });
      } catch (error) {
        throw smtpErrorOf(error);
      }
    },
    close: () => transport.close({ force: true }),
  };
}

const domainOf = (from: string): string => /@([^\s>]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';

interface NodemailerError {
  readonly code?: unknown;
  readonly command?: unknown;
  readonly response?: unknown;
  readonly responseCode?: unknown;
}

/**
 * The one refusal that is final: this recipient does not exist (RFC 3463: 5.1.x). A refused sender, login or relaying
 * is our own mistake and can be mended while mails wait.
 */
function smtpErrorOf(error: unknown): SmtpError {
  const { code, command, response, responseCode } = error as NodemailerError;
  if (code === 'EABORT') return new SmtpError('the server took too long', false);
  const label = typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code) ? code : 'an error without a code';
  if (typeof responseCode !== 'number') return new SmtpError(label, false);
  const isFinal = command === 'RCPT TO' && /^5\d\d[ -]5\.1\.\d/.test(String(response));
  return new SmtpError(`${label}, the server answered ${responseCode}`, isFinal);
}
