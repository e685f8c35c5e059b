// needs       the HTTP request; skips sockets
// adds        headers that keep a browser from guessing, framing, running and telling on what it gets here
// may answer  nothing

import type { RequestStage } from '../pipeline.ts';

export interface SecurityHeadersDeps {
  /** Seconds for which browsers are to come by HTTPS alone; 0 says nothing, since a router may be called without TLS. */
  hstsMaxAgeS: number;
}

export function createSecurityHeaders(deps: SecurityHeadersDeps): RequestStage {
  const headers = securityHeadersOf(deps);
  return {
    name: 'security-headers',
    run({ http, answerHeaders }) {
      if (http) Object.assign(answerHeaders, headers);
      return undefined;
    },
  };
}

/** For answers that no page is: nothing in them may run or be framed. Pages bring a policy of their own. */
export function securityHeadersOf({ hstsMaxAgeS }: SecurityHeadersDeps): Record<string, string> {
  return {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    ...(hstsMaxAgeS > 0 ? { 'strict-transport-security': `max-age=${hstsMaxAgeS}; includeSubDomains` } : {}),
  };
}
