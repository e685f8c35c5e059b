import type { AccessToken } from './tokens.ts';

/** Why a token is no longer good, or null. */
export type RevocationReason = 'TOKEN_EXPIRED' | 'SESSION_REVOKED';

export interface Revocation {
  check(token: AccessToken): RevocationReason | null;
  /** Called when something of an organisation was revoked: check the open operations of that organisation again. */
  onRevoked(listener: (orgId: string) => void): () => void;
  start(): Promise<void>;
  stop(): Promise<void>;
}
