// needs       the HTTP request; skips sockets (their token travels in connection_init, no browser adds it by itself)
// adds        CORS headers for allowed origins. CSRF: body-limits lets nothing on to the hot path but application/json, before which a page must ask, and streams by GET, looked at here; the rest meets Apollo Server's CSRF prevention
// may answer  204 to a preflight · BAD_REQUEST 400 to a stream by GET that a foreign page could open without a preflight

import { streamOf, takesParts } from '../accept.ts';
import { type Exchange, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';

/** A day is what browsers accept at most, or cap lower by themselves. */
const PREFLIGHT_AGE_S = 86_400;

export interface CorsCsrfDeps {
  origins: readonly string[];
  /** Allowed pages may send cookies along. */
  hasCookies: boolean;
}

/** `origins`: exact origins, or with `*` as the port. `*` alone allows every origin (refused with cookies). */
export function createCorsCsrf({ origins, hasCookies }: CorsCsrfDeps): RequestStage {
  const isAllowed = originMatcher(origins);
  return {
    name: 'cors-csrf',
    run(exchange) {
      const { http, headers, answerHeaders } = exchange;
      if (!http) return;
      const { origin } = headers;
      answerHeaders.vary = 'origin';
      if (origin && isAllowed(origin)) {
        answerHeaders['access-control-allow-origin'] = origin;
        if (hasCookies) answerHeaders['access-control-allow-credentials'] = 'true';
        answerHeaders['access-control-expose-headers'] =
          'x-request-id, retry-after, ratelimit, ratelimit-policy';
      }
      if (http.method === 'OPTIONS') return { status: 204, headers: preflightHeaders(exchange), body: null };
      if (isStreamByGet(exchange) && !wouldPreflight(exchange) && !isEventSource(exchange, isAllowed)) {
        throw new Refusal(
          'BAD_REQUEST',
          'Refused as a possible cross-site request: send content-type application/json, or a header apollo-require-preflight or x-apollo-operation-name.',
        );
      }
      return;
    },
  };
}

function preflightHeaders({ headers, answerHeaders }: Exchange): Record<string, string> {
  if (!answerHeaders['access-control-allow-origin']) return {};
  const asked = headers['access-control-request-headers'];
  return {
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': typeof asked === 'string' ? asked : 'content-type, authorization',
    'access-control-max-age': String(PREFLIGHT_AGE_S),
    vary: 'origin, access-control-request-headers',
  };
}

/** Asked for by `Accept`: such a GET is none of Apollo Server's. */
export function isStreamByGet({ http, headers }: Pick<Exchange, 'http' | 'headers'>): boolean {
  return http?.method === 'GET' && (streamOf(headers.accept) !== null || takesParts(headers.accept));
}

/**
 * True when a browser asks before it sends this from another site. Only exactly application/json counts as a content
 * type: others have slipped past preflights before (text/plain with a trick parameter, message/*). A Bearer token is set by
 * scripts alone, whereas browsers add what they know of Basic and the like by themselves.
 */
function wouldPreflight({ headers }: Exchange): boolean {
  if (headers['apollo-require-preflight'] || headers['x-apollo-operation-name']) return true;
  if (headers.authorization?.startsWith('Bearer ')) return true;
  return mediaTypeOf(headers['content-type']) === 'application/json';
}

/**
 * An EventSource can set no header, so that no browser asks before it is opened. But it names its page's origin, or says
 * that it stays on its own site: a page of ours may open one, and so may the allowed ones.
 */
function isEventSource({ headers }: Exchange, isAllowed: (origin: string) => boolean): boolean {
  if (streamOf(headers.accept) !== 'sse') return false;
  const { origin, host } = headers;
  if (origin === undefined) return headers['sec-fetch-site'] === 'same-origin';
  return isAllowed(origin) || isOwnOrigin(origin, host);
}

/**
 * A page that this very host served. One that rebinds its name to our address passes too: browsers send it neither our
 * cookies nor our tokens.
 */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

export function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

export function originMatcher(origins: readonly string[]): (origin: string) => boolean {
  const exact = new Set(origins.filter((origin) => !origin.includes('*')));
  const anyPort = origins.filter((origin) => origin.endsWith(':*')).map((origin) => origin.slice(0, -2));
  if (origins.includes('*')) return () => true;
  return (origin) => {
    if (exact.has(origin)) return true;
    const url = URL.parse(origin);
    return url !== null && url.origin === origin && anyPort.includes(`${url.protocol}//${url.hostname}`);
  };
}
