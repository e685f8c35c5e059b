// needs       a call to a subgraph: its exact bytes, its deadline, and the viewer of its exchange
// adds        header taskflow-context; viewer (for the calls that follow) and establishedTokens of a credential mutation
// may answer  SUBGRAPH_UNAVAILABLE (no key for that subgraph: no call is sent)

import {
  CONTEXT_HEADER,
  type ContextClaims,
  ESTABLISHED_HEADER,
  type KeyRing,
  signContext,
  verifyEstablished,
} from '@taskflow/kit/identity';
import { rootFieldsOf } from '@taskflow/kit/service-context';
import type { Exchange } from '../exchange.ts';
import type { SubgraphAnswer, SubgraphCall, Transport } from '../gateway/subgraph-calls.ts';
import type { CallStage } from '../pipeline.ts';

export interface ContextSigner {
  /** The context of one call over exactly these bytes. Throws when there is no key for the subgraph. */
  sign(exchange: Exchange, subgraph: string, bytes: string | Buffer, more?: CallClaims): string;
}

type CookieClaims = Pick<ContextClaims, 'tokensAsCookies' | 'refreshToken'>;
type CallClaims = CookieClaims & Pick<ContextClaims, 'deadlineMs'>;

export interface SignContextDeps {
  keyRings: Readonly<Record<string, KeyRing>>;
  /** The one subgraph that may establish a viewer. */
  establishingSubgraph: string;
}

export function createContextSigner({ keyRings }: Pick<SignContextDeps, 'keyRings'>): ContextSigner {
  return {
    sign(exchange, subgraph, bytes, more = {}) {
      const ring = keyRings[subgraph];
      if (!ring) throw new Error(`There is no context key for the subgraph "${subgraph}".`);
      return signContext(ring, { ...claimsOf(exchange), ...more, audience: subgraph }, bytes);
    },
  };
}

export function createSignContext(deps: SignContextDeps): CallStage {
  const signer = createContextSigner(deps);
  return {
    name: 'sign-context',
    run(call, next) {
      const { exchange, subgraph, request } = call;
      const mayEstablish = subgraph === deps.establishingSubgraph && isMutation(exchange);
      const cookies = mayEstablish ? cookieClaimsOf(exchange) : {};
      const claims = { ...cookies, deadlineMs: deadlineOf(call) };
      call.headers[CONTEXT_HEADER] = signer.sign(exchange, subgraph, request.body, claims);
      return mayEstablish ? establishing(call, next) : next(call);
    },
  };

  async function establishing(call: SubgraphCall, next: Transport): Promise<SubgraphAnswer> {
    const answer = await next(call);
    const established = call.answerHeaders[ESTABLISHED_HEADER];
    const ring = deps.keyRings[call.subgraph];
    if (typeof established === 'string' && ring) {
      const { viewer, tokens } = verifyEstablished(ring, established);
      call.exchange.viewer = viewer;
      if (call.exchange.cookies && tokens) call.exchange.establishedTokens = tokens;
    }
    return answer;
  }
}

const isMutation = ({ prepared }: Exchange) => prepared?.operation.operation === 'mutation';

/** The subgraph gives up a little sooner than the router, so that its word of what became of a change still arrives. */
const HEAD_START_MAX_MS = 100;
const HEAD_START_SHARE = 0.1;

function deadlineOf({ deadlineAt }: SubgraphCall): number | undefined {
  const leftMs = deadlineAt - performance.now();
  if (leftMs === Number.POSITIVE_INFINITY) return undefined;
  return Math.max(1, Math.floor(leftMs - Math.min(HEAD_START_MAX_MS, leftMs * HEAD_START_SHARE)));
}

/** The refresh token goes where it is exchanged, and nowhere else. */
function cookieClaimsOf({ cookies, prepared }: Exchange): CookieClaims {
  if (!cookies || !prepared) return {};
  const isRefreshing = rootFieldsOf(prepared.document, prepared.operation.name?.value).includes(
    'tokenRefresh',
  );
  const { refreshToken } = cookies;
  return { tokensAsCookies: true, ...(isRefreshing && refreshToken ? { refreshToken } : {}) };
}

/** Longer values are cut: they are for logs and languages, and the header has to stay small. */
const USER_AGENT_LENGTH_MAX = 200;
const LOCALE_LENGTH_MAX = 64;
const KEY_LENGTH_MAX = 255;

function claimsOf({
  viewer,
  viewerGroup,
  plan,
  requestId,
  clientAddress,
  headers,
  prepared,
  explanation,
}: Exchange) {
  return {
    viewer,
    ...(viewerGroup === null ? {} : { viewerGroup }),
    ...(explanation ? { isExplained: true } : {}),
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
