/** Cookie mode, over the whole supergraph: browsers in it, pages of other sites, and their sockets. */
import { randomBytes } from 'node:crypto';
import { COSTS_OFF } from '@taskflow/tests/kit/limits';
import { PASSWORD } from '@taskflow/tests/kit/seed';
import { aSupergraph, type TestSupergraph } from '@taskflow/tests/kit/supergraph';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { readRouterConfig } from '../src/config.ts';
import { createRouter, type Router } from '../src/server.ts';

const APP = 'https://app.acme.test';
const EVIL = 'https://evil.test';

let supergraph: TestSupergraph;
beforeAll(async () => {
  supergraph = await aSupergraph({
    env: { ...COSTS_OFF, ROUTER_COOKIES: 'insecure', ROUTER_CORS_ORIGINS: APP },
  });
});

const VIEWER = '{ viewer { email } }';
const LOGIN = `mutation ($email: String!) { login(input: { email: $email, password: "${PASSWORD}" }) {
  success token: accessToken ...More user { email organization { name } } } } fragment More on AuthPayload { r: refreshToken accessTokenExpiresAt }`;
const REFRESH = (input: string) =>
  `mutation { tokenRefresh(input: { ${input} }) { success accessToken refreshToken userErrors { code } } }`;
const LOGOUT = 'mutation { out: logout { success } }';

interface Sent {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever it asked for
  body: any;
  text: string;
  headers: Headers;
  setCookies: string[];
}

async function send(init: RequestInit, path = '', url = supergraph.url): Promise<Sent> {
  const response = await fetch(`${url}${path}`, init);
  const text = await response.text();
  const body = text.startsWith('{') ? JSON.parse(text) : null;
  return {
    status: response.status,
    text,
    body,
    headers: response.headers,
    setCookies: response.headers.getSetCookie(),
  };
}

/** A browser: keeps cookies, and says from which page it asks. */
function aBrowser(origin: string | null = APP) {
  const jar = new Map<string, string>();
  const cookieOf = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  return {
    jar,
    cookieOf,
    async ask(
      query: string,
      variables: object = {},
      headers: Record<string, string> = { 'taskflow-cookies': 'true' },
      url?: string,
    ) {
      const sent = await send(
        {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(origin ? { origin } : {}),
            ...(jar.size > 0 ? { cookie: cookieOf() } : {}),
            ...headers,
          },
          body: JSON.stringify({ query, variables }),
        },
        '',
        url,
      );
      for (const cookie of sent.setCookies) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        if (value) jar.set(name, value);
        else jar.delete(name);
      }
      return sent;
    },
  };
}

const codesOf = ({ body }: Sent) =>
  (body?.errors ?? []).map((error: { extensions: { code: string } }) => error.extensions.code);

async function anAccount(): Promise<string> {
  const email = `ada-${randomBytes(5).toString('hex')}@acme.test`;
  const input = { email, password: PASSWORD, name: 'Ada', organizationName: 'Acme' };
  await supergraph.client.ask('mutation ($input: RegisterInput!) { register(input: $input) { success } }', {
    input,
  });
  return email;
}

/** Somebody who has signed in by cookies. */
async function signedIn() {
  const email = await anAccount();
  const browser = aBrowser();
  await browser.ask(LOGIN, { email });
  return { email, browser, cookie: browser.cookieOf() };
}

describe('signing in with the header taskflow-cookies', () => {
  it('gives both tokens as cookies that no script reads, and none of them in the answer, however it is selected', async () => {
    const email = await anAccount();
    const sent = await aBrowser().ask(LOGIN, { email });
    expect(sent.body.data.login).toMatchObject({ success: true, token: null, r: null, user: { email } });
    expect(sent.text).not.toMatch(/eyJ|rt_/);
    expect(sent.setCookies).toEqual([
      expect.stringMatching(
        /^taskflow-access=eyJ\S+; Path=\/; Max-Age=(59\d|600); HttpOnly; SameSite=Strict$/,
      ),
      expect.stringMatching(
        /^taskflow-refresh=rt_\S+; Path=\/graphql; Max-Age=60\d{4}; HttpOnly; SameSite=Strict$/,
      ),
    ]);
  });

  it('without the header answers the tokens and sets no cookie', async () => {
    const email = await anAccount();
    const sent = await aBrowser().ask(LOGIN, { email }, {});
    expect([sent.setCookies, typeof sent.body.data.login.token]).toEqual([[], 'string']);
  });

  it.each([[EVIL], ['null'], [null]])(
    'is refused from the page %s, before anything is tried',
    async (origin) => {
      const email = await anAccount();
      const sent = await aBrowser(origin).ask(LOGIN, { email });
      expect([sent.status, codesOf(sent), sent.setCookies]).toEqual([403, ['FORBIDDEN'], []]);
    },
  );

  it('a wrong password sets no cookie', async () => {
    const sent = await aBrowser().ask(LOGIN.replace(PASSWORD, 'wrong password'), {
      email: await anAccount(),
    });
    expect([sent.body.data.login.success, sent.setCookies]).toEqual([false, []]);
  });
});

describe('a request with cookies', () => {
  it('is that of the person, from an allowed page and from our own', async () => {
    const { email, browser, cookie } = await signedIn();
    expect((await browser.ask(VIEWER, {}, {})).body).toEqual({ data: { viewer: { email } } });
    const own = aBrowser(new URL(supergraph.url).origin);
    expect((await own.ask(VIEWER, {}, { cookie })).body).toEqual({ data: { viewer: { email } } });
    const query = `?query=${encodeURIComponent(VIEWER)}`;
    const get = { 'apollo-require-preflight': '1', 'sec-fetch-site': 'same-origin', cookie };
    expect((await send({ headers: get }, query)).body).toEqual({ data: { viewer: { email } } });
  });

  it.each([[EVIL], ['null'], ['http://app.acme.test'], ['https://app.acme.test.evil.test'], [null]])(
    'is refused from the page %s: reads as well',
    async (origin) => {
      const { cookie } = await signedIn();
      for (const query of [VIEWER, LOGOUT]) {
        const sent = await aBrowser(origin).ask(query, {}, { cookie });
        expect([sent.status, codesOf(sent), sent.setCookies]).toEqual([403, ['FORBIDDEN'], []]);
      }
      const get = { 'apollo-require-preflight': '1', 'sec-fetch-site': 'cross-site', cookie };
      expect((await send({ headers: get }, `?query=${encodeURIComponent(VIEWER)}`)).status).toBe(403);
    },
  );

  it.each([
    ['text/plain', JSON.stringify({ query: LOGOUT })],
    ['text/plain; application/json', JSON.stringify({ query: LOGOUT })],
    ['application/x-www-form-urlencoded', `query=${encodeURIComponent(LOGOUT)}`],
    [
      'multipart/form-data; boundary=x',
      `--x\r\ncontent-disposition: form-data; name="query"\r\n\r\n${LOGOUT}\r\n--x--`,
    ],
    ['message/http', LOGOUT],
    ['', JSON.stringify({ query: LOGOUT })],
  ])('that a foreign form could send does nothing: content type "%s"', async (type, body) => {
    const { browser, cookie } = await signedIn();
    for (const origin of [EVIL, APP]) {
      const sent = await send({ method: 'POST', headers: { origin, cookie, 'content-type': type }, body });
      expect([400, 403, 415]).toContain(sent.status);
    }
    expect((await browser.ask(VIEWER)).body.errors).toBeUndefined();
  });

  it('by GET changes nothing, not even from an allowed page', async () => {
    const { browser, cookie } = await signedIn();
    const headers = { origin: APP, cookie, 'apollo-require-preflight': '1' };
    expect((await send({ headers }, `?query=${encodeURIComponent(LOGOUT)}`)).status).toBe(405);
    expect((await send({ headers: { cookie } }, `?query=${encodeURIComponent(VIEWER)}`)).status).toBe(403);
    expect((await browser.ask(VIEWER)).body.errors).toBeUndefined();
  });

  it('opens a stream, as an EventSource of an allowed page or of our own does; it ends when its person logs out', async () => {
    const { browser, cookie } = await signedIn();
    const query = new URLSearchParams({ query: 'subscription { notificationEvents { __typename } }' });
    const open = (headers: Record<string, string>) =>
      fetch(`${supergraph.url}?${query}`, { headers: { cookie, accept: 'text/event-stream', ...headers } });
    for (const headers of [{ origin: EVIL }, { origin: 'null' }, { 'sec-fetch-site': 'same-site' }, {}])
      expect(await (await open(headers)).text(), JSON.stringify(headers)).toMatch(/FORBIDDEN|cross-site/);
    const streams = [await open({ origin: APP }), await open({ 'sec-fetch-site': 'same-origin' })];
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    await browser.ask(LOGOUT);
    for (const stream of streams)
      expect(await stream.text()).toMatch(/SESSION_REVOKED.*\n\nevent: complete\ndata:\n\n$/);
  });

  it('and a token in the Authorization header is that of the header, wherever it comes from', async () => {
    const { cookie } = await signedIn();
    const email = await anAccount();
    const { login } = (await aBrowser().ask(LOGIN, { email }, {})).body.data;
    const sent = await aBrowser(EVIL).ask(VIEWER, {}, { cookie, authorization: `Bearer ${login.token}` });
    expect(sent.body).toEqual({ data: { viewer: { email } } });
  });
});

describe('refreshing by cookie', () => {
  it.each([['refreshToken: ""'], ['refreshToken: null'], ['clientMutationId: "x"']])(
    'takes the token of the cookie with input { %s }, and answers in cookies',
    async (input) => {
      const { browser } = await signedIn();
      const before = browser.jar.get('taskflow-refresh');
      // Without the header: whoever has cookies gets cookies, so that no script can ask for the tokens.
      const sent = await browser.ask(REFRESH(input), {}, {});
      expect(sent.body.data.tokenRefresh).toMatchObject({
        success: true,
        accessToken: null,
        refreshToken: null,
      });
      expect([sent.setCookies.length, browser.jar.get('taskflow-refresh') === before]).toEqual([2, false]);
      expect((await browser.ask(VIEWER)).body.errors).toBeUndefined();
    },
  );

  it('works with an access token that has expired, is garbage or gone; what needs it says why', async () => {
    const { browser } = await signedIn();
    browser.jar.set('taskflow-access', 'garbage.of.course');
    const refused = await browser.ask(VIEWER);
    expect([refused.status, codesOf(refused)]).toEqual([401, ['UNAUTHENTICATED']]);
    expect((await browser.ask(REFRESH('refreshToken: ""'))).body.data.tokenRefresh.success).toBe(true);
    browser.jar.delete('taskflow-access');
    expect((await browser.ask(REFRESH('refreshToken: ""'))).body.data.tokenRefresh.success).toBe(true);
    expect((await browser.ask(VIEWER)).body.errors).toBeUndefined();
  });

  it('is refused without a cookie, and from a foreign page', async () => {
    const { cookie } = await signedIn();
    const nobody = await aBrowser().ask(REFRESH('refreshToken: ""'));
    expect(nobody.body.data.tokenRefresh.userErrors).toEqual([{ code: 'INVALID_CREDENTIALS' }]);
    expect((await aBrowser(EVIL).ask(REFRESH('refreshToken: ""'), {}, { cookie })).status).toBe(403);
  });
});

describe('logging out', () => {
  it('ends both cookies, and a copy of them is worth nothing', async () => {
    const { browser, cookie } = await signedIn();
    const sent = await browser.ask(LOGOUT);
    expect(sent.setCookies.map((text) => text.replace(/=.*?Max-Age/, ' Max-Age'))).toEqual([
      'taskflow-access Max-Age=0; HttpOnly; SameSite=Strict',
      'taskflow-refresh Max-Age=0; HttpOnly; SameSite=Strict',
    ]);
    expect(browser.jar.size).toBe(0);
    await expect
      .poll(async () => {
        const copied = await aBrowser().ask(VIEWER, {}, { cookie });
        return [codesOf(copied), copied.setCookies.length];
      })
      .toEqual([['SESSION_REVOKED'], 2]);
  });
});

describe('CORS', () => {
  const preflight = (origin: string) =>
    send({
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'taskflow-cookies',
      },
    });

  it('lets an allowed page send cookies, by its name; a foreign one nothing', async () => {
    const { headers } = await preflight(APP);
    expect(headers.get('access-control-allow-origin')).toBe(APP);
    expect(headers.get('access-control-allow-credentials')).toBe('true');
    expect(headers.get('access-control-allow-headers')).toBe('taskflow-cookies');
    expect(headers.get('vary')).toContain('origin');
    for (const origin of [EVIL, 'null', new URL(supergraph.url).origin]) {
      const foreign = (await preflight(origin)).headers;
      expect(foreign.get('access-control-allow-origin')).toBeNull();
      expect(foreign.get('access-control-allow-credentials')).toBeNull();
    }
  });
});

describe('a WebSocket', () => {
  /** Resolves to the acknowledgement, the status that refused the upgrade, or the code that closed the socket. */
  function connect(headers: Record<string, string>, payload?: object, query?: string) {
    const socket = new WebSocket(supergraph.url.replace('http', 'ws'), GRAPHQL_TRANSPORT_WS_PROTOCOL, {
      headers,
    });
    onTestFinished(() => socket.terminate());
    return new Promise<unknown>((resolve) => {
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.on('error', () => {});
      socket.on('close', (code) => resolve(code));
      socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload })));
      socket.on('message', (bytes) => {
        const frame = JSON.parse(String(bytes));
        if (frame.type === 'connection_ack' && query)
          socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query } }));
        else if (frame.type !== 'ping') resolve(frame.payload ?? frame.type);
      });
    });
  }

  it('of an allowed page, or of our own, is that of the person in the cookie', async () => {
    const { email, cookie } = await signedIn();
    for (const origin of [APP, new URL(supergraph.url).origin])
      expect(await connect({ origin, cookie }, {}, VIEWER)).toEqual({ data: { viewer: { email } } });
  });

  it.each([[EVIL], ['null'], ['https://app.acme.test.evil.test'], [null]])(
    'with cookies is refused from the page %s at the upgrade',
    async (origin) => {
      const { cookie } = await signedIn();
      expect(await connect({ ...(origin ? { origin } : {}), cookie }, {})).toBe(403);
    },
  );

  it('without cookies goes on as before: no page, no cookie, a token in connection_init', async () => {
    const email = await anAccount();
    const { login } = (await aBrowser().ask(LOGIN, { email }, {})).body.data;
    const authorization = `Bearer ${login.token}`;
    expect(await connect({}, { authorization }, VIEWER)).toEqual({ data: { viewer: { email } } });
    expect(await connect({ origin: APP }, {})).toBe(4401);
  });

  it('takes the token of connection_init before that of the cookie', async () => {
    const { cookie } = await signedIn();
    const email = await anAccount();
    const { login } = (await aBrowser().ask(LOGIN, { email }, {})).body.data;
    const authorization = `Bearer ${login.token}`;
    expect(await connect({ origin: APP, cookie }, { authorization }, VIEWER)).toEqual({
      data: { viewer: { email } },
    });
    expect(await connect({ origin: APP, cookie }, { authorization: 'Bearer x.y.z' })).toBe(4401);
  });

  it('of a cookie carries no mutations, whose answer may hold tokens', async () => {
    const { cookie } = await signedIn();
    const refused = await connect({ origin: APP, cookie }, {}, LOGOUT);
    expect(refused).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  });
});

describe('with ROUTER_COOKIES=off', () => {
  it('no cookie is read, and none is set', async () => {
    const { cookie } = await signedIn();
    const plain = await aPlainRouter();
    const url = `${plain.url}/graphql`;
    const viewer = await aBrowser().ask(VIEWER, {}, { cookie, 'taskflow-cookies': 'true' }, url);
    expect([viewer.status, codesOf(viewer)]).toEqual([401, ['UNAUTHENTICATED']]);
    const login = await aBrowser().ask(
      LOGIN,
      { email: await anAccount() },
      { 'taskflow-cookies': 'true' },
      url,
    );
    expect([login.setCookies, typeof login.body.data.login.token]).toEqual([[], 'string']);
    expect(login.headers.get('access-control-allow-credentials')).toBeNull();
  });
});

async function aPlainRouter(): Promise<Router> {
  const { env, redisPrefix } = supergraph;
  const router = createRouter(readRouterConfig({ ...env, ROUTER_COOKIES: 'off', ROUTER_PORT: '0' }), {
    redisPrefix,
  });
  await router.start();
  onTestFinished(() => router.stop());
  return router;
}
