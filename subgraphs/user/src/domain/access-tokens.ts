import type { PlanClaim } from '@taskflow/kit/identity';
import jsonwebtoken from 'jsonwebtoken';
import type { MemberRow } from '../data/members.ts';
import type { SigningKeys } from './signing-keys.ts';

export interface AccessTokenRule {
  readonly issuer: string;
  readonly audience: string;
  readonly ttlMs: number;
  /** What is known of an organisation's plan; null when nothing is yet. */
  planOf(tenant: { orgId: string }): Promise<PlanClaim | null>;
}

export interface AccessToken {
  readonly text: string;
  readonly expiresAt: Date;
}

export type AccessTokens = ReturnType<typeof createAccessTokens>;

/** ES256 tokens of RFC 9068's type, which the router verifies (router/src/tokens.ts). */
export function createAccessTokens(keys: SigningKeys, { issuer, audience, ttlMs, planOf }: AccessTokenRule) {
  return {
    /** What a member may be taken for until it expires. Ends with the second in which it would expire. */
    async issue(member: MemberRow, sessionId: string): Promise<AccessToken> {
      const [{ kid, key }, plan] = await Promise.all([keys.active(), planOf(member)]);
      const exp = Math.floor((Date.now() + ttlMs) / 1000);
      const claims = { org_id: member.orgId, role: member.role, sid: sessionId, ep: member.epoch, exp };
      const text = jsonwebtoken.sign(plan ? { ...claims, plan } : claims, key, {
        algorithm: 'ES256',
        header: { alg: 'ES256', typ: 'at+jwt', kid },
        ...{ issuer, audience, subject: member.id },
      });
      return { text, expiresAt: new Date(exp * 1000) };
    },
  };
}
