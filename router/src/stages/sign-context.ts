// needs       a call to a subgraph: its exact bytes, and the viewer of its exchange
// adds        header taskflow-context; the viewer that a credential mutation established, for the calls that follow
// may answer  SUBGRAPH_UNAVAILABLE (no key for that subgraph: no call is sent)

import {
  CONTEXT_HEADER,
  ESTABLISHED_HEADER,
  type KeyRing,
  signContext,
  verifyEstablished,
} from '@taskflow/kit/identity';
import type { Exchange } from '../exchange.ts';
import type { CallStage } from '../pipeline.ts';

export interface ContextSigner {
  /** The context of one call over exactly these bytes. Throws when there is no key for the subgraph. */
  sign(exchange: Exchange, subgraph: string, bytes: string | Buffer): string;
}

export interface SignContextDeps {
  keyRings: Readonly<Record<string, KeyRing>>;
  /** The one subgraph that may establish a viewer. */
  establishingSubgraph: string;
}

export function createContextSigner({ keyRings }: Pick<SignContextDeps, 'keyRings'>): ContextSigner {
  return {
    sign(exchange, subgraph, bytes) {
      const ring = keyRings[subgraph];
      if (!ring) throw new Error(`There is no context key for the subgraph "${subgraph}".`);
      return signContext(ring, { ...claimsOf(exchange), audience: subgraph }, bytes);
    },
  };
}

export function createSignContext(deps: SignContextDeps): CallStage {
  const signer = createContextSigner(deps);
  return {
    name: 'sign-context',
    async run(call, next) {
      const { exchange, subgraph, body } = call;
      call.headers[CONTEXT_HEADER] = signer.sign(exchange, subgraph, body);
      const answer = await next(call);
      const established = call.answerHeaders[ESTABLISHED_HEADER];
      const ring = deps.keyRings[subgraph];
      if (typeof established === 'string' && ring && subgraph === deps.establishingSubgraph) {
        if (exchange.prepared?.operation.operation === 'mutation')
          exchange.viewer = verifyEstablished(ring, established);
      }
      return answer;
    },
  };
}

/** Longer values are cut: they are for logs and languages, and the header has to stay small. */
const USER_AGENT_LENGTH_MAX = 200;
const LOCALE_LENGTH_MAX = 64;
const KEY_LENGTH_MAX = 255;

function claimsOf({ viewer, plan, requestId, clientAddress, headers, prepared }: Exchange) {
  return {
    viewer,
    ...(plan === null ? {} : { plan }),
    requestId,
    clientAddress,
    userAgent: headers['user-agent']?.slice(0, USER_AGENT_LENGTH_MAX),
    locale: headers['accept-language']?.slice(0, LOCALE_LENGTH_MAX),
    idempotencyKey: textOf(headers['idempotency-key']),
    minSyncId: textOf(headers['taskflow-min-sync-id']),
    operationName: prepared?.operation.name?.value,
  };
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && header.length <= KEY_LENGTH_MAX ? header : undefined;
}
