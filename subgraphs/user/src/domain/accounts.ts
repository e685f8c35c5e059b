import { syncIdOf } from '@taskflow/kit/outbox';
import { v7 as uuidv7 } from 'uuid';
import type { AccountRow } from '../data/accounts.ts';
import type { MemberRow } from '../data/members.ts';
import type { UserStore } from '../data/store.ts';
import type { EmailAddresses } from './email-addresses.ts';
import { emailOf, isEmail, nameOf, normalizedEmail } from './input-rules.ts';
import { memberJoined, organizationFounded } from './member-facts.ts';
import { acceptablePasswordOf } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { MEMBERS } from './plans.ts';
import type { ProofOfIdentity } from './proof-of-identity.ts';
import { conflict, wrongCredentials } from './refusals.ts';
import type { Client, Sessions, SignedIn } from './sessions.ts';

export interface Register {
  email: string;
  password: string;
  name: string;
  organizationName: string;
}

export interface Login {
  email: string;
  password: string;
}

export interface AccountDeps {
  readonly passwords: Passwords;
  readonly proof: ProofOfIdentity;
  readonly sessions: Sessions;
  readonly addresses: EmailAddresses;
}

export type Accounts = ReturnType<typeof createAccounts>;

export function createAccounts(store: UserStore, { passwords, proof, sessions, addresses }: AccountDeps) {
  return {
    /**
     * Founds an organisation with this person as its ORG_ADMIN. Account, member, session and facts are one transaction:
     * after a crash there is all of it, and the person can sign in, or nothing, and they can register again. A taken
     * address is told (CONFLICT): without a mail to the address there is no other honest answer.
     */
    async register(client: Client, input: Register): Promise<SignedIn> {
      const email = emailOf(input.email);
      const name = nameOf(input.name, 'name');
      const organizationName = nameOf(input.organizationName, 'organizationName');
      const passwordHash = await passwords.hash(await acceptablePasswordOf(input.password, { email, name }));
      const [id, orgId] = [uuidv7(), uuidv7()];
      const founded = await store.job(orgId, async (tx) => {
        const isNew = await tx.accounts.insert({ id, email, passwordHash }, orgId);
        const founder = isNew && (await tx.members.insert({ id, name, email, role: 'ORG_ADMIN' }));
        if (!founder) throw conflict('email', 'This address already has an account. Please sign in.');
        await tx.organizations.found(organizationName);
        const opened = await sessions.open(tx, founder, client);
        const joined = memberJoined(founder, client.requestId);
        const verification = await addresses.verificationOf(tx, founder, client);
        await tx.appendFacts(
          organizationFounded(founder, organizationName, client.requestId),
          joined,
          verification,
        );
        await tx.audit(
          { ...client, actorId: id, sessionId: opened.sessionId },
          {
            ...{ action: 'organization.founded', target: { type: 'organization', id: orgId } },
            after: { name: organizationName, founder: { name, email } },
          },
        );
        await tx.quota.take(MEMBERS);
        return { founder, opened, syncId: syncIdOf(joined) };
      });
      return sessions.signIn(founded.founder, founded.opened, founded.syncId);
    },

    /** Signs in to the organisation used last. Unknown address and wrong password are the same answer after the same work. */
    async login(client: Client, input: Login): Promise<SignedIn> {
      const email = normalizedEmail(input.email);
      await proof.refuseWhileLocked(email, client);
      const account = await store.accounts.findByEmail(isEmail(email) ? email : '');
      const member = await store.accounts.activeMembership(account?.id ?? null);
      const claim = { email, password: input.password, account, isEligible: member !== null };
      const proved = await proof.require(claim, client);
      return signInAs(proved, member, client);
    },
  };

  /** Looked at again within the transaction: the person may have been suspended since, or the password changed. */
  async function signInAs(account: AccountRow, member: MemberRow | null, client: Client): Promise<SignedIn> {
    if (!member) throw wrongCredentials();
    const { row, opened } = await store.job(member.orgId, async (tx) => {
      const isSame = await tx.accounts.hold(account);
      const row = await tx.members.hold(member.id);
      if (!isSame || row?.status !== 'ACTIVE') throw wrongCredentials();
      const opened = await sessions.open(tx, row, client);
      await tx.audit(
        { ...client, actorId: row.id, sessionId: opened.sessionId },
        { action: 'login.succeeded', target: { type: 'session', id: opened.sessionId } },
      );
      return { row, opened };
    });
    return sessions.signIn(row, opened, null);
  }
}
