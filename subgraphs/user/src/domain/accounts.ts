import { syncIdOf } from '@taskflow/kit/outbox';
import { v7 as uuidv7 } from 'uuid';
import type { AccountRow } from '../data/accounts.ts';
import type { MemberRow } from '../data/members.ts';
import type { JobTx, UserStore } from '../data/store.ts';
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

/** Somebody whose password, or other proof, was checked. */
export interface Founder {
  email: string;
  name: string;
  organizationName: string;
  passwordHash: string;
}

/** Writes down, in the transaction that signs an account in, who has vouched for the person. */
export type Vouch = (tx: JobTx, account: Pick<AccountRow, 'id' | 'email'>) => Promise<void>;

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
      return found(client, { email, name, organizationName, passwordHash }, null);
    },

    found,

    /** As login, on another's word than a password. `vouch` is part of the transaction that signs in. */
    async signInBy(account: AccountRow, client: Client, vouch: Vouch): Promise<SignedIn> {
      const member = await store.accounts.activeMembership(account.id);
      return signInAs(account, member, client, vouch);
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

  /** What was typed is checked by now. Who is vouched for has a proved address, and is sent no mail about it. */
  async function found(client: Client, founder: Founder, vouch: Vouch | null): Promise<SignedIn> {
    const { email, name, organizationName, passwordHash } = founder;
    const [id, orgId] = [uuidv7(), uuidv7()];
    const founded = await store.job(orgId, async (tx) => {
      const isNew = await tx.accounts.insert({ id, email, passwordHash }, orgId);
      const row = isNew && (await tx.members.insert({ id, name, email, role: 'ORG_ADMIN' }));
      if (!row) throw conflict('email', 'This address already has an account. Please sign in.');
      await vouch?.(tx, { id, email });
      await tx.organizations.found(organizationName);
      const opened = await sessions.open(tx, row, client);
      const joined = memberJoined(row, client.requestId);
      const mails = vouch ? [] : [await addresses.verificationOf(tx, row, client)];
      await tx.appendFacts(organizationFounded(row, organizationName, client.requestId), joined, ...mails);
      await tx.audit(
        { ...client, actorId: id, sessionId: opened.sessionId },
        {
          ...{ action: 'organization.founded', target: { type: 'organization', id: orgId } },
          after: { name: organizationName, founder: { name, email } },
        },
      );
      await tx.quota.take(MEMBERS);
      return { row, opened, syncId: syncIdOf(joined) };
    });
    return sessions.signIn(founded.row, founded.opened, founded.syncId);
  }

  /** Looked at again within the transaction: the person may have been suspended since, or the password changed. */
  async function signInAs(
    account: AccountRow,
    member: MemberRow | null,
    client: Client,
    vouch: Vouch | null = null,
  ): Promise<SignedIn> {
    if (!member) throw wrongCredentials();
    const { row, opened } = await store.job(member.orgId, async (tx) => {
      const isSame = await tx.accounts.hold(account);
      const row = await tx.members.hold(member.id);
      if (!isSame || row?.status !== 'ACTIVE') throw wrongCredentials();
      await vouch?.(tx, account);
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
