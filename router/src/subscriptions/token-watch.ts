/**
 * The token that something long-lived was started with, watched until that ends.
 *
 *   good ──its end (access token) · asked again every 30 s (API key) · revocation──▶ ended(why), once
 *
 * An API key whose rights have changed ends what was started with the old ones; its owner comes back with the same key.
 */
import { FRESH_MS } from '../api-keys.ts';
import { Refusal } from '../exchange.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Revocation, RevocationReason } from '../revocation.ts';
import type { AccessToken } from '../tokens.ts';

export interface TokenWatch {
  /** Something of an organisation was revoked: is it this token? */
  recheck(orgId: string): void;
  /** Safe to call twice; nothing is told afterwards. */
  stop(): void;
}

export interface TokenWatchOptions {
  readonly pipeline: Pick<Pipeline, 'verifyToken'>;
  readonly revocation: Pick<Revocation, 'check'>;
  readonly token: AccessToken;
  readonly authorization: string | undefined;
  readonly address: string;
  /** A Refusal with the code that a request with this token would get now, RIGHTS_CHANGED, or why nobody could say. */
  ended(why: unknown): void;
}

export const RIGHTS_CHANGED = new Refusal(
  'SUBGRAPH_UNAVAILABLE',
  'The rights of the key have changed: connect again.',
  { retryable: true },
);

export function watchToken(options: TokenWatchOptions): TokenWatch {
  const { pipeline, revocation, authorization, address } = options;
  let { token } = options;
  let isOver = false;
  const timer = token.apiKey
    ? setInterval(() => void verifyAgain(), FRESH_MS)
    : setTimeout(() => end(refusalFor('TOKEN_EXPIRED')), timeUntil(token.expiresAt));

  function stop(): void {
    isOver = true;
    clearTimeout(timer);
  }

  function end(why: unknown): void {
    if (isOver) return;
    stop();
    options.ended(why);
  }

  async function verifyAgain(): Promise<void> {
    try {
      const now = await pipeline.verifyToken(authorization, address);
      if (!now) return;
      if (rightsOf(now) !== rightsOf(token)) end(RIGHTS_CHANGED);
      token = now;
    } catch (error) {
      end(error);
    }
  }

  return {
    stop,
    recheck(orgId) {
      if (isOver || token.viewer.orgId !== orgId) return;
      const revoked = revocation.check(token);
      if (revoked === 'TOKEN_EXPIRED' && token.apiKey) void verifyAgain();
      else if (revoked) end(refusalFor(revoked));
    },
  };
}

/** Of a token that nobody here can revoke, only the end is watched. */
export function watchExpiry(expiresAt: number, ended: (why: Refusal) => void): TokenWatch {
  const timer = setTimeout(() => ended(refusalFor('TOKEN_EXPIRED')), timeUntil(expiresAt));
  return { recheck() {}, stop: () => clearTimeout(timer) };
}

/** Timers take 2^31 ms at most; whoever stays connected that long connects again. */
const timeUntil = (moment: number) => Math.min(moment - Date.now(), 2 ** 31 - 1);

/** What an operation in progress is ended with. */
export function refusalFor(reason: RevocationReason): Refusal {
  return reason === 'SESSION_REVOKED'
    ? new Refusal(reason, 'The session was ended. Please sign in again.', { status: 401 })
    : new Refusal(reason, 'The access token has expired. Refresh it and try again.', { status: 401 });
}

/** What an operation was started with. */
const rightsOf = ({ viewer }: AccessToken): string => `${viewer.role} ${viewer.scopes?.join(' ')}`;
