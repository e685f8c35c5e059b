// needs       the finished answer, and the prepared operation with the hints of its supergraph (@cacheControl)
// adds        cache-control: no-store, but for what is public by its hints, whole, and was asked for by nobody in particular
// may answer  nothing

import { type CacheHints, readCacheHints } from '../caching/cache-hints.ts';
import { type Lifetime, lifetimeOf } from '../caching/request-policy.ts';
import type { Answer, Exchange, PreparedOperation } from '../exchange.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';
import type { AnswerStage } from '../pipeline.ts';

/** By supergraph, and by operation within: what was read goes with them. */
interface Known {
  readonly hints: CacheHints;
  readonly lifetimes: WeakMap<PreparedOperation['operation'], Lifetime | null>;
}

export function createCacheHeaders(): AnswerStage {
  const known = new WeakMap<LoadedSupergraph, Known>();

  function lifetimeIn({ supergraph, document, operation }: PreparedOperation): Lifetime | null {
    const { hints, lifetimes } = known.get(supergraph) ?? {
      hints: readCacheHints(supergraph.sdl),
      lifetimes: new WeakMap(),
    };
    known.set(supergraph, { hints, lifetimes });
    const found = lifetimes.get(operation);
    if (found !== undefined) return found;
    const read = lifetimeOf(hints, document, operation);
    lifetimes.set(operation, read);
    return read;
  }

  return {
    name: 'cache-headers',
    run(exchange, answer) {
      if (!answer.body) return answer;
      const lifetime = isForAnybody(exchange, answer) ? lifetimeIn(exchange.prepared) : null;
      if (!lifetime || lifetime.isPrivate) return { ...answer, headers: { ...answer.headers, ...NOBODY } };
      // Where one caller stands concerns nobody else.
      for (const name of RATE_LIMIT_HEADERS) delete exchange.answerHeaders[name];
      return { ...answer, headers: { ...answer.headers, ...publicHeaders(lifetime) } };
    },
  };
}

const RATE_LIMIT_HEADERS = ['ratelimit', 'ratelimit-policy'];

const NOBODY = { 'cache-control': 'no-store' };

/** A cache between here and there must not give it to callers with a token: to them the answer may be another. */
function publicHeaders({ maxAge }: Lifetime): Record<string, string> {
  return { 'cache-control': `max-age=${maxAge}, public`, vary: 'origin, authorization, cookie' };
}

/** Whole, and to a request that says nothing of who asks. */
function isForAnybody(
  exchange: Exchange,
  { status, body, parts }: Answer,
): exchange is Exchange & { prepared: PreparedOperation } {
  const { prepared, authorization, headers, viewer, caller, http } = exchange;
  if (prepared?.operation.operation !== 'query' || !http) return false;
  if (authorization !== undefined || headers.authorization !== undefined || headers.cookie !== undefined)
    return false;
  if (viewer || caller) return false;
  return status === 200 && !body?.errors?.length && !parts;
}
