// needs       authorization (header or connection_init)
// adds        token, viewer, caller; all null for an anonymous request, which the owning subgraph accepts or not; cookieRefusal
// may answer  UNAUTHENTICATED · TOKEN_EXPIRED · SESSION_REVOKED 401 · SUBGRAPH_UNAVAILABLE 503 (nobody to ask) · RATE_LIMITED 429 (invented API keys)

import type { CallerVerifier } from '../callers.ts';
import { Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';
import type { TokenVerifier } from '../tokens.ts';

export interface AuthenticateDeps {
  tokens: TokenVerifier | null;
  /** Of an issuer that is not ours: they become callers, never viewers. */
  callers: CallerVerifier | null;
}

export function createAuthenticate({ tokens, callers }: AuthenticateDeps): RequestStage {
  return {
    name: 'authenticate',
    async run(exchange) {
      try {
        exchange.token = (await tokens?.verify(exchange.authorization, exchange.clientAddress)) ?? null;
      } catch (error) {
        const isOfCookie =
          exchange.cookies?.isAuthorizing && error instanceof Refusal && error.status === 401;
        if (!isOfCookie) throw error;
        exchange.cookieRefusal = error;
      }
      exchange.viewer = exchange.token?.viewer ?? null;
      exchange.caller = exchange.token?.caller ?? (await callers?.verify(exchange.authorization)) ?? null;
    },
  };
}
