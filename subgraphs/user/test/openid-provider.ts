/** A real OpenID provider of the test's own, and a person who signs in at its pages as a browser would. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { afterAll } from 'vitest';

export interface Claims {
  email?: string;
  email_verified?: boolean;
  name?: string;
}

export interface TestProvider {
  readonly issuer: string;
  /** For USER_SIGN_IN_PROVIDERS. */
  readonly settings: { id: string; name: string; issuer: string; clientId: string; clientSecret: string };
  /** What the provider says about a person, by the name with which they sign in there. */
  readonly people: Map<string, Claims>;
  /** Goes through the provider's pages as that person; answers where the provider sent the browser back to. */
  signIn(authorizationUrl: string, person: string): Promise<string>;
  /** The person says no on the provider's page. */
  decline(authorizationUrl: string): Promise<string>;
  stop(): Promise<void>;
}

const CLIENT = { clientId: 'taskflow', clientSecret: 'taskflow-secret-taskflow-secret-1' };

/** Call it in beforeAll. */
export async function anOpenIdProvider(redirectUri: string): Promise<TestProvider> {
  const people = new Map<string, Claims>();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.clientId,
        client_secret: CLIENT.clientSecret,
        redirect_uris: [redirectUri],
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people.get(id) }) }),
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ['a key for cookies of a test'] },
  });
  server.on('request', provider.callback());
  const stop = () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  afterAll(stop);

  return {
    ...{ issuer, people, stop, settings: { id: 'test', name: 'Test', issuer, ...CLIENT } },
    async signIn(authorizationUrl, person) {
      const browser = aBrowser(redirectUri);
      const login = await browser.follow(authorizationUrl);
      const consent = await browser.submit(login, { prompt: 'login', login: person, password: 'any' });
      return browser.submit(consent, { prompt: 'consent' });
    },
    async decline(authorizationUrl) {
      const browser = aBrowser(redirectUri);
      return browser.follow(`${await browser.follow(authorizationUrl)}/abort`);
    },
  };
}

/** Redirects, cookies and forms: as much of a browser as a provider needs. */
function aBrowser(redirectUri: string) {
  const cookies = new Map<string, string>();

  /** The last page's address; that of the redirect to the client is not opened. */
  async function follow(address: string, init: RequestInit = {}): Promise<string> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(address, {
      ...init,
      redirect: 'manual',
      headers: { ...init.headers, cookie },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = response.headers.get('location');
    if (location === null) return address;
    const next = new URL(location, address).href;
    return next.startsWith(redirectUri) ? next : follow(next);
  }

  return {
    follow: (address: string) => follow(address),
    submit: (page: string, fields: Record<string, string>) =>
      follow(page, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(fields).toString(),
      }),
  };
}
