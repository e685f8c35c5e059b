// needs       the finished answer; the tokens that a credential mutation established for cookies
// adds        set-cookie: both tokens, or their end after a logout and for a session that was revoked
// may answer  nothing

import { rootFieldsOf } from '@taskflow/kit/service-context';
import type { Cookies } from '../cookies.ts';
import type { Answer, Exchange } from '../exchange.ts';
import type { AnswerStage } from '../pipeline.ts';

export function createSetCookies({ cookies }: { cookies: Cookies | null }): AnswerStage {
  return {
    name: 'set-cookies',
    run(exchange, answer) {
      if (!cookies || !exchange.cookies) return answer;
      if (exchange.establishedTokens)
        return { ...answer, cookies: cookies.store(exchange.establishedTokens) };
      return hasEnded(exchange, answer) ? { ...answer, cookies: cookies.clear() } : answer;
    },
  };
}

function hasEnded({ cookies, prepared, viewer }: Exchange, { body }: Answer): boolean {
  const codes = body?.errors?.map((error) => error.extensions?.code) ?? [];
  if (cookies?.isAuthorizing && codes.includes('SESSION_REVOKED')) return true;
  if (!viewer || codes.length > 0 || prepared?.operation.operation !== 'mutation') return false;
  return rootFieldsOf(prepared.document, prepared.operation.name?.value).includes('logout');
}
