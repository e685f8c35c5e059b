// needs       authorization (header or connection_init)
// adds        token, viewer; both null for an anonymous request, which the owning subgraph accepts or not
// may answer  UNAUTHENTICATED · TOKEN_EXPIRED · SESSION_REVOKED 401 · SUBGRAPH_UNAVAILABLE 503 (nobody to ask) · RATE_LIMITED 429 (invented API keys)

import type { RequestStage } from '../pipeline.ts';
import type { TokenVerifier } from '../tokens.ts';

export function createAuthenticate({ tokens }: { tokens: TokenVerifier }): RequestStage {
  return {
    name: 'authenticate',
    async run(exchange) {
      exchange.token = await tokens.verify(exchange.authorization, exchange.clientAddress);
      exchange.viewer = exchange.token?.viewer ?? null;
    },
  };
}
