/**
 * Signing in by somebody else's word: an OpenID provider's.
 *
 *   start ─▶ the provider's page, and a sealed flow that only the client that asked for it holds
 *   complete(flow, callback) ─▶ the provider's word: issuer, subject, proved address
 *     known identity ─▶ its account
 *     else an account with that address: linked when the address was proved here too, refused when it was not
 *     else an invite to that address ─▶ joins        else a name for an organisation ─▶ founds
 *     else refused with a sealed word in hand: complete(word, organisationName) goes on without the provider
 *
 * An account whose address was never proved here may have been made by somebody who waits for its owner to come: it is
 * not linked. Flow and word are sealed, not stored: they live ten minutes, and the provider takes a code only once.
 */
import { DomainError } from '@taskflow/kit/errors';
import type { Viewer } from '@taskflow/kit/identity';
import type { Sealer } from '@taskflow/kit/seal';
import { v7 as uuidv7 } from 'uuid';
import type { AccountRow } from '../data/accounts.ts';
import {
  type Flow,
  type IdentityProviders,
  type ProvedIdentity,
  ProviderAway,
  type ProviderSettings,
  SignInRefused,
} from '../data/identity-providers.ts';
import type { UserStore } from '../data/store.ts';
import type { Accounts, Vouch } from './accounts.ts';
import { isEmail, nameOf, normalizedEmail } from './input-rules.ts';
import type { Invites, Newcomer } from './invites.ts';
import type { Passwords } from './passwords.ts';
import { badInput, badInvite, conflict } from './refusals.ts';
import type { Client, SignedIn } from './sessions.ts';

export interface SignInStart {
  provider: string;
  redirectUri: string;
}

export interface SignInComplete {
  flowToken: string;
  callbackUrl?: string | null;
  organizationName?: string | null;
  inviteToken?: string | null;
}

export interface Identity {
  provider: string;
  providerName: string;
  email: string;
  createdAt: Date;
  lastUsedAt: Date;
}

export interface ProviderSignInDeps {
  readonly providers: IdentityProviders;
  /** Where providers may send people back to, exactly. */
  readonly redirectUris: readonly string[];
  readonly sealer: Sealer;
  readonly accounts: Accounts;
  readonly invites: Invites;
  readonly passwords: Passwords;
}

/** As long as people take on a provider's page, a second factor included. */
const FLOW_TTL_MS = 600_000;
const FLOW = 'sign-in flow';
const WORD = 'sign-in word';
const NAME_LENGTH_MAX = 200;

type Word = ProvedIdentity & { readonly email: string; readonly isEmailVerified: true };
type Sealed<T> = T & { readonly until: number };

export type ProviderSignIn = ReturnType<typeof createProviderSignIn>;

export function createProviderSignIn(store: UserStore, deps: ProviderSignInDeps) {
  const { providers, redirectUris, sealer, accounts, invites, passwords } = deps;

  const seal = (content: object, purpose: string): string =>
    sealer.seal(JSON.stringify({ ...content, until: Date.now() + FLOW_TTL_MS }), purpose);

  function open<T>(text: string, purpose: string): T | null {
    const opened = sealer.open(text, purpose);
    if (opened === null) return null;
    const content = JSON.parse(opened) as Sealed<T>;
    return content.until > Date.now() ? content : null;
  }

  function providerOf(id: string): ProviderSettings {
    const provider = providers.find(id);
    if (!provider) throw unknownProvider();
    return provider;
  }

  /** What the provider says, asked now or kept from a moment ago. */
  async function wordOf({ flowToken, callbackUrl }: SignInComplete): Promise<Word> {
    const kept = open<Word>(flowToken, WORD);
    if (kept) return kept;
    const flow = open<Flow>(flowToken, FLOW);
    if (!flow) throw startAgain();
    const callback = URL.parse(callbackUrl ?? '');
    if (!callback || callback.origin + callback.pathname !== placeOf(flow.redirectUri)) {
      throw badInput('callbackUrl', 'Give the whole address that the provider sent the person back to.');
    }
    const word = await asked(() => providers.finish(providerOf(flow.provider), flow, callback));
    const email = normalizedEmail(word.email ?? '');
    if (!word.isEmailVerified || !isEmail(email)) {
      throw refused('The provider has not verified an e-mail address of this person.');
    }
    return { ...word, email, isEmailVerified: true };
  }

  /** Links the identity, or notes its use, in the transaction that signs in; the provider proved the address as well. */
  const linking =
    ({ issuer, subject, email }: Word): Vouch =>
    async (tx, account) => {
      const isLinked = await tx.identities.use({ issuer, subject, email, accountId: account.id });
      if (!isLinked) throw startAgain(); // linked to somebody else between the look and the write
      if (account.email === email) await tx.accounts.verifyEmail(account.id);
    };

  return {
    /** Those that are set up; none by default. */
    listProviders: () => providers.list(),

    async start({ provider: id, redirectUri }: SignInStart): Promise<{ url: string; flowToken: string }> {
      const provider = providerOf(id);
      if (!redirectUris.includes(redirectUri)) {
        throw badInput(
          'redirectUri',
          'People are not sent back to this address. Ask the operator to allow it.',
        );
      }
      const { url, flow } = await asked(() => providers.begin(provider, redirectUri));
      return { url, flowToken: seal(flow, FLOW) };
    },

    async complete(client: Client, input: SignInComplete): Promise<SignedIn> {
      const word = await wordOf(input);
      const link = linking(word);
      const knownId = await store.identities.findAccountId(word.issuer, word.subject);
      const account = knownId
        ? await store.accounts.find(knownId)
        : await store.accounts.findByEmail(word.email);
      if (account && !knownId && !(await isProvedHere(account.id))) {
        throw conflict(
          'flowToken',
          'There is an account with this address, which was never verified. Sign in with its password, verify the address, and come back.',
        );
      }
      const flowToken = () => seal(word, WORD);
      try {
        if (input.inviteToken) {
          const join = (email: string) => newcomerOf(word, account, email);
          return await invites.join(client, input.inviteToken, join, link);
        }
        if (account) return await accounts.signInBy(account, client, link);
        if (!input.organizationName) throw needsOrganization(flowToken());
        const name = nameOf(nameIn(word), 'name');
        const organizationName = nameOf(input.organizationName, 'organizationName');
        const passwordHash = await passwords.unusable();
        return await accounts.found(
          client,
          { email: word.email, name, organizationName, passwordHash },
          link,
        );
      } catch (error) {
        throw withFlowToken(error, flowToken);
      }
    },

    /** The viewer's own; at providers that are no longer set up as well. */
    async listIdentities({ userId }: Viewer): Promise<Identity[]> {
      const known = new Map(providers.list().map((provider) => [provider.issuer, provider]));
      const rows = await store.identities.listOf(userId);
      return rows.map(({ issuer, email, createdAt, lastUsedAt }) => {
        const { id = issuer, name = issuer } = known.get(issuer) ?? {};
        return { provider: id, providerName: name, email, createdAt, lastUsedAt };
      });
    },

    /** Who has no password left asks for a new one by mail. */
    async unlink(viewer: Viewer, client: Client, provider: string): Promise<void> {
      const issuer = providers.find(provider)?.issuer ?? provider;
      await store.job(viewer.orgId, async (tx) => {
        const count = await tx.identities.unlink(viewer.userId, issuer);
        if (count === 0) throw unknownProvider();
        await tx.audit(
          { actorId: viewer.userId, ...client },
          { action: 'identity.unlinked', target: { type: 'identity', id: null }, before: { provider } },
        );
      });
    },
  };

  /** An invite is to one address: that of the account, or the one that the provider vouches for. */
  async function newcomerOf(word: Word, account: AccountRow | null, invited: string): Promise<Newcomer> {
    if (invited !== (account?.email ?? word.email)) throw badInvite();
    if (account) return { id: account.id, name: nameIn(word), account };
    const passwordHash = await passwords.unusable();
    return { id: uuidv7(), name: nameOf(nameIn(word), 'name'), account: null, passwordHash };
  }

  async function isProvedHere(accountId: string): Promise<boolean> {
    return (await store.accounts.emailVerifiedAt([accountId])).length === 1;
  }
}

/** Somebody's name at a provider may be anything. */
function nameIn({ name, email }: Word): string {
  const plain = (name ?? '').replace(/\p{Cc}/gu, ' ').trim();
  return [...(plain || (email.split('@')[0] ?? email))].slice(0, NAME_LENGTH_MAX).join('');
}

function placeOf(redirectUri: string): string {
  const { origin, pathname } = new URL(redirectUri);
  return origin + pathname;
}

/** The provider's two ways to fail, as clients know them. */
async function asked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SignInRefused) throw startAgain();
    if (!(error instanceof ProviderAway)) throw error;
    throw new DomainError('SUBGRAPH_UNAVAILABLE', 'The provider does not answer. Please try again.', {
      retryable: true,
    });
  }
}

const unknownProvider = () =>
  new DomainError('NOT_FOUND', 'There is no such provider.', { field: 'provider' });
const refused = (message: string) => new DomainError('INVALID_CREDENTIALS', message);
/** The same for a forged flow, an old one, another browser's, and whatever the provider refuses. */
const startAgain = () => refused('The sign-in was not completed. Please start again.');

const needsOrganization = (flowToken: string) =>
  new DomainError(
    'BAD_USER_INPUT',
    'This address has no account yet. Repeat with this flowToken and organizationName to found an organisation, or with inviteToken to join one.',
    { field: 'organizationName', payload: { flowToken } },
  );

/** A wrong name or invite can be put right without the provider, whose code is used up. */
function withFlowToken(error: unknown, flowToken: () => string): unknown {
  const isTheirs = error instanceof DomainError && ['BAD_USER_INPUT', 'NOT_FOUND'].includes(error.code);
  if (!isTheirs || error.details.payload) return error;
  return new DomainError(error.code, error.message, {
    ...error.details,
    payload: { flowToken: flowToken() },
  });
}
