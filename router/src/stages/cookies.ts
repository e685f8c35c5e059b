// needs       the HTTP request; skips sockets (theirs is read once, at the upgrade)
// adds        cookies, authorization from them; with ROUTER_COOKIES=off no cookie is looked at
// may answer  FORBIDDEN 403 to a request that means cookies and does not come from an allowed page

import type { Cookies } from '../cookies.ts';
import { Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';
import { isOwnOrigin, originMatcher } from './cors-csrf.ts';

/** The header with which a page asks for its tokens as cookies. */
export const COOKIES_HEADER = 'taskflow-cookies';

export interface CookiesDeps {
  /** Null: off. */
  cookies: Cookies | null;
  origins: readonly string[];
}

export function createCookieStage({ cookies, origins }: CookiesDeps): RequestStage {
  const isAllowed = originMatcher(origins);
  return {
    name: 'cookies',
    run(exchange) {
      const { http, headers } = exchange;
      if (!cookies || !http) return;
      const isAsked = headers[COOKIES_HEADER] === 'true';
      // Whoever sends a token by hand is no browser that was signed in by cookies; theirs are left alone.
      if (exchange.authorization !== undefined && !isAsked) return;
      const found = cookies.read(headers);
      if (!isAsked && found.accessToken === null && found.refreshToken === null) return;
      const { origin, host } = headers;
      const isFromPage =
        origin === undefined
          ? headers['sec-fetch-site'] === 'same-origin' // a GET of our own page, which carries no Origin
          : isAllowed(origin) || isOwnOrigin(origin, host);
      if (!isFromPage) throw new Refusal('FORBIDDEN', NOT_FROM_HERE, { status: 403 });
      exchange.cookies = { refreshToken: found.refreshToken, isAuthorizing: false };
      if (exchange.authorization === undefined && found.accessToken !== null) {
        exchange.authorization = `Bearer ${found.accessToken}`;
        exchange.cookies.isAuthorizing = true;
      }
    },
  };
}

const NOT_FROM_HERE =
  'Cookies are taken from the pages of allowed origins only: send the header Origin, or an Authorization header instead.';
