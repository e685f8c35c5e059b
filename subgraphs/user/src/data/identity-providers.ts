/**
 * OpenID providers, over openid-client: authorization code with PKCE, state and nonce.
 *
 *   begin  ─▶ the provider's page, and a flow to keep         discovery is asked once and kept
 *   finish ─▶ state · code exchanged with the verifier · ID token: signature, issuer, audience, nonce, expiry ─▶ claims
 *
 * A provider that is away or slow is an outage; whatever it refuses is a sign-in that did not happen.
 */
import type { Log } from '@taskflow/kit/log';
import * as openid from 'openid-client';

export interface ProviderSettings {
  /** What clients call it: `google`. */
  readonly id: string;
  readonly name: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** What has to be remembered between the two halves. The verifier is a secret. */
export interface Flow {
  readonly provider: string;
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** What a provider says about a person. */
export interface ProvedIdentity {
  readonly issuer: string;
  readonly subject: string;
  readonly email: string | null;
  readonly isEmailVerified: boolean;
  readonly name: string | null;
}

/** The provider said no, or what came back is not what was asked for. */
export class SignInRefused extends Error {
  override readonly name = 'SignInRefused';
}
/** The provider did not answer. */
export class ProviderAway extends Error {
  override readonly name = 'ProviderAway';
}

/** Below the router's patience with a call (5 s), so that the answer is ours. */
const TIMEOUT_S = 4;
const SCOPE = 'openid email profile';
/** A provider that changes its endpoints is noticed within the hour. */
const DISCOVERY_TTL_MS = 3_600_000;

export type IdentityProviders = ReturnType<typeof createIdentityProviders>;

export function createIdentityProviders(providers: readonly ProviderSettings[], log: Log) {
  const known = new Map<string, { at: number; asked: Promise<openid.Configuration> }>();
  const find = (id: string) => providers.find((provider) => provider.id === id) ?? null;

  function discover({ id, issuer, clientId, clientSecret }: ProviderSettings): Promise<openid.Configuration> {
    const kept = known.get(id);
    if (kept && performance.now() - kept.at < DISCOVERY_TTL_MS) return kept.asked;
    // The configuration refuses http for anything but this machine.
    const execute = issuer.startsWith('http:') ? [openid.allowInsecureRequests] : [];
    const options = { execute, timeout: TIMEOUT_S };
    const asked = openid.discovery(new URL(issuer), clientId, clientSecret, undefined, options);
    known.set(id, { at: performance.now(), asked });
    asked.catch(() => known.delete(id));
    return asked;
  }

  /** Rejects with one of the two errors above and nothing else; the log keeps what the provider said. */
  async function telling<T>(provider: ProviderSettings, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code, error: reason } = error as { code?: string; error?: string };
      log.info(
        { provider: provider.id, code, reason, type: (error as Error).name },
        'a sign-in did not succeed',
      );
      throw isOutage(error) ? new ProviderAway(provider.id) : new SignInRefused(provider.id);
    }
  }

  return {
    list: (): { id: string; name: string; issuer: string }[] =>
      providers.map(({ id, name, issuer }) => ({ id, name, issuer })),
    find,

    async begin(provider: ProviderSettings, redirectUri: string): Promise<{ url: string; flow: Flow }> {
      return telling(provider, async () => {
        const configuration = await discover(provider);
        const flow = {
          ...{ provider: provider.id, redirectUri, codeVerifier: openid.randomPKCECodeVerifier() },
          ...{ state: openid.randomState(), nonce: openid.randomNonce() },
        };
        const url = openid.buildAuthorizationUrl(configuration, {
          ...{ redirect_uri: redirectUri, scope: SCOPE, state: flow.state, nonce: flow.nonce },
          code_challenge: await openid.calculatePKCECodeChallenge(flow.codeVerifier),
          code_challenge_method: 'S256',
        });
        return { url: url.href, flow };
      });
    },

    /** `callbackUrl` is where the provider sent the person, with its query. */
    async finish(provider: ProviderSettings, flow: Flow, callbackUrl: URL): Promise<ProvedIdentity> {
      return telling(provider, async () => {
        const configuration = await discover(provider);
        const tokens = await openid.authorizationCodeGrant(configuration, callbackUrl, {
          ...{ pkceCodeVerifier: flow.codeVerifier, expectedState: flow.state, expectedNonce: flow.nonce },
          idTokenExpected: true,
        });
        const claims = tokens.claims();
        if (!claims) throw new SignInRefused(provider.id);
        const { iss: issuer, sub: subject } = claims;
        const told =
          claims.email === undefined
            ? await openid.fetchUserInfo(configuration, tokens.access_token, subject)
            : claims;
        return {
          ...{ issuer, subject },
          email: typeof told.email === 'string' ? told.email : null,
          isEmailVerified: told.email_verified === true,
          name: typeof told.name === 'string' ? told.name : null,
        };
      });
    },
  };
}

/** No answer, one in time, or one that says "later". */
function isOutage(error: unknown): boolean {
  const { name, code, status, cause } = error as {
    name?: string;
    code?: string;
    status?: number;
    cause?: { name?: string; status?: number };
  };
  if ((status ?? cause?.status ?? 0) >= 500) return true;
  if (name === 'TimeoutError' || name === 'AbortError' || code === 'OAUTH_TIMEOUT') return true;
  return error instanceof TypeError && code === undefined; // what fetch throws without a connection
}
