import type { AccountRow } from '../data/accounts.ts';
import type { LoginAttempts } from '../data/login-attempts.ts';
import type { UserStore } from '../data/store.ts';
import type { Afterwards } from './afterwards.ts';
import { networkOf } from './networks.ts';
import type { Passwords } from './passwords.ts';
import { accountLocked, wrongCredentials, wrongPassword } from './refusals.ts';
import { sha256 } from './secret-tokens.ts';
import type { Client } from './sessions.ts';

export interface Claim {
  /** Normalised; of an account or not. */
  readonly email: string;
  readonly password: string;
  /** The account of that address; null when there is none. */
  readonly account: AccountRow | null;
  /** Beside the password: whether this account may sign in here at all. */
  readonly isEligible: boolean;
  /** What a wrong password is answered; INVALID_CREDENTIALS as at sign-in when absent. */
  readonly refusal?: () => Error;
}

export type ProofOfIdentity = ReturnType<typeof createProofOfIdentity>;

export interface ProofDeps {
  readonly attempts: LoginAttempts;
  readonly passwords: Passwords;
  readonly afterwards: Afterwards;
}

/**
 * The one place where passwords are tried. Unknown account, wrong password and an account that may not sign in cost the
 * same work, are counted alike and refused alike; the lock answers before any of it.
 *
 * A proved password whose hash has old parameters is hashed again: it is known only now. Nobody else waits for that.
 */
export function createProofOfIdentity(
  store: Pick<UserStore, 'accounts' | 'transaction'>,
  { attempts, passwords, afterwards }: ProofDeps,
) {
  const keyOf = (email: string, { address }: Client) => ({
    accountHash: sha256(email),
    address: networkOf(address),
  });

  /** Not at once: an attacker would see that there is an organisation to tell. */
  function recordLock(account: AccountRow | null, client: Client): void {
    afterwards.do('audit of a lock', client.requestId, async () => {
      const member = await store.accounts.activeMembership(account?.id ?? null);
      if (!member) return;
      await store.transaction(member, (tx) =>
        tx.audit(
          { ...client, actorId: null },
          { action: 'login.locked', target: { type: 'member', id: member.id } },
        ),
      );
    });
  }

  /** The account, with its hash as it is now, when the claim is true; otherwise throws INVALID_CREDENTIALS, or ACCOUNT_LOCKED. */
  async function require(claim: Claim, client: Client): Promise<AccountRow> {
    const { email, password, account, isEligible, refusal = wrongCredentials } = claim;
    const isOwner = await passwords.verify(account?.passwordHash ?? null, password);
    const isProved = isOwner && isEligible;
    const key = keyOf(email, client);
    if (!isProved || !account) {
      const { lockedForMs, hasLocked } = await attempts.fail(key);
      if (hasLocked) recordLock(account, client);
      throw lockedForMs > 0 ? accountLocked(lockedForMs) : refusal();
    }
    const lockedForMs = await attempts.succeed(key);
    if (lockedForMs > 0) throw accountLocked(lockedForMs);
    if (!passwords.isStale(account.passwordHash)) return account;
    const to = await passwords.hash(password);
    await store.accounts.replaceHash(account.id, { from: account.passwordHash, to });
    return { ...account, passwordHash: to };
  }

  /** Throws ACCOUNT_LOCKED while this address has failed too often for this account. */
  async function refuseWhileLocked(email: string, client: Client): Promise<void> {
    const lockedForMs = await attempts.lockedForMs(keyOf(email, client));
    if (lockedForMs > 0) throw accountLocked(lockedForMs);
  }

  return {
    require,
    refuseWhileLocked,

    /** Who is signed in proves once more who they are, before something that cannot be taken back. */
    async requireAgain(userId: string, password: string, client: Client): Promise<AccountRow> {
      const account = await store.accounts.find(userId);
      const refusal = () => wrongPassword('password');
      if (!account) throw refusal();
      const { email } = account;
      await refuseWhileLocked(email, client);
      return require({ email, password, account, isEligible: true, refusal }, client);
    },

    /** Failures and locks of this account, from wherever, are over: somebody has proved themselves in another way. */
    forget: (email: string): Promise<void> => attempts.forget(sha256(email)),
  };
}
