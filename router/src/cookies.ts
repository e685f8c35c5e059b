// Tokens as cookies, for browsers: a script of the page can use the session, and cannot carry it away.
//
//   access token    every request to this host; HttpOnly, SameSite=Strict, gone when it expires
//   refresh token   only requests to the GraphQL path; the same
//
// The prefixes are promises that browsers keep: `__Host-` comes from this very host over HTTPS, `__Secure-` over HTTPS.

import type { IncomingHttpHeaders } from 'node:http';
import type { EstablishedTokens } from '@taskflow/kit/identity';

/** `insecure`: without HTTPS, for development. */
export type CookieMode = 'on' | 'insecure';

export interface TokenCookies {
  readonly accessToken: string | null;
  readonly refreshToken: string | null;
}

/** Browsers keep 4,096 bytes of a cookie; ours have about 600. */
const COOKIE_LENGTH_MAX = 4_096;

export interface Cookies {
  read(headers: IncomingHttpHeaders): TokenCookies;
  /** The values of two `set-cookie` headers. */
  store(tokens: EstablishedTokens, now?: number): string[];
  clear(): string[];
}

export function createCookies(mode: CookieMode, path: string): Cookies {
  const isSecure = mode === 'on';
  const access = { name: `${isSecure ? '__Host-' : ''}taskflow-access`, path: '/' };
  const refresh = { name: `${isSecure ? '__Secure-' : ''}taskflow-refresh`, path };
  const write = (cookie: { name: string; path: string }, value: string, maxAgeS: number) =>
    [
      `${cookie.name}=${value}`,
      `Path=${cookie.path}`,
      `Max-Age=${maxAgeS}`,
      'HttpOnly',
      'SameSite=Strict',
      ...(isSecure ? ['Secure'] : []),
    ].join('; ');

  return {
    read(headers) {
      const cookies = parseCookies(headers.cookie);
      return {
        accessToken: cookies.get(access.name) ?? null,
        refreshToken: cookies.get(refresh.name) ?? null,
      };
    },
    store: (tokens, now = Date.now()) => [
      write(access, tokens.accessToken, secondsUntil(tokens.accessTokenExpiresAt, now)),
      write(refresh, tokens.refreshToken, secondsUntil(tokens.refreshTokenExpiresAt, now)),
    ],
    clear: () => [write(access, '', 0), write(refresh, '', 0)],
  };
}

const secondsUntil = (moment: number, now: number) => Math.max(0, Math.floor((moment - now) / 1000));

/** The first of each name counts: that of the most specific path. */
function parseCookies(header: string | undefined): Map<string, string> {
  const cookies = new Map<string, string>();
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(at, 0)).trim();
    const value = part.slice(at + 1).trim();
    if (name && value && value.length <= COOKIE_LENGTH_MAX && !cookies.has(name)) cookies.set(name, value);
  }
  return cookies;
}
