import { readUserConfig } from '@taskflow/user/config';
import { beforeAll, describe, expect, it } from 'vitest';
import { anOpenIdProvider, type TestProvider } from './openid-provider.ts';
import {
  ABSENT,
  ACCEPT,
  AUTH,
  anEmail,
  aScene,
  ERRORS,
  LOGIN,
  PASSWORD,
  REGISTER,
  type Scene,
} from './scene.ts';

const CALLBACK = 'http://localhost:4000/sign-in';
const START = `mutation ($input: SignInStartInput!) { signInStart(input: $input) { ${ERRORS} authorizationUrl flowToken } }`;
const COMPLETE = `mutation ($input: SignInCompleteInput!) { signInComplete(input: $input) { ${AUTH} flowToken } }`;

let provider: TestProvider;
let scene: Scene;

beforeAll(async () => {
  provider = await anOpenIdProvider(CALLBACK);
  scene = await aScene({ USER_SIGN_IN_PROVIDERS: JSON.stringify([provider.settings]) });
});

async function start(input: object = {}) {
  const answer = await scene.send(START, { provider: 'test', redirectUri: CALLBACK, ...input });
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into payloads that it knows
  return (answer.data as any).signInStart;
}

/** A flow whose person has come back from the provider. */
async function returning(person: string) {
  const { authorizationUrl, flowToken } = await start();
  return { flowToken, callbackUrl: await provider.signIn(authorizationUrl, person) };
}

async function complete(input: object) {
  const answer = await scene.send(COMPLETE, input);
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into payloads that it knows
  return { answer, payload: (answer.data as any)?.signInComplete };
}

/** Somebody the provider knows, with an address that it has verified. */
function known(name: string, claims: object = {}): string {
  const email = anEmail(name);
  provider.people.set(email, { email, email_verified: true, name, ...claims });
  return email;
}

/** Somebody with an account of ours, whose address was proved here. */
async function verified(email: string) {
  const { auth } = await scene.send(REGISTER, {
    ...{ email, password: PASSWORD, name: 'Ada', organizationName: 'Acme' },
  });
  await scene.sql('update accounts set email_verified_at = now() where email = $1', [email]);
  return auth;
}

const codes = ({ payload }: { payload: { userErrors: { code: string; field: string | null }[] } }) =>
  payload.userErrors.map(({ code, field }) => [code, field]);

describe('a person without an account', () => {
  it('founds an organisation, proved address and all, and comes back as themselves', async () => {
    const email = known('founder');
    const { payload } = await complete({ ...(await returning(email)), organizationName: 'Acme' });
    expect(payload).toMatchObject({ success: true, user: { email, name: 'founder', role: 'ORG_ADMIN' } });
    const [account] = await scene.sql<{ isVerified: boolean }>(
      'select email_verified_at is not null as "isVerified" from accounts where email = $1',
      [email],
    );
    expect(account).toEqual({ isVerified: true });
    const again = await complete(await returning(email));
    expect(again.payload).toMatchObject({ success: true, user: { id: payload.user.id } });
  });

  it('is asked for an organisation when none was named, and goes on without the provider', async () => {
    const email = known('undecided');
    const asked = await complete(await returning(email));
    expect(codes(asked)).toEqual([['BAD_USER_INPUT', 'organizationName']]);
    const { flowToken } = asked.payload;
    const refused = await complete({ flowToken, organizationName: ' ' });
    expect(codes(refused)).toEqual([['BAD_USER_INPUT', 'organizationName']]);
    const { payload } = await complete({ flowToken: refused.payload.flowToken, organizationName: 'Acme' });
    expect(payload).toMatchObject({ success: true, flowToken: null, user: { email, role: 'ORG_ADMIN' } });
  });

  it('joins by an invite to the address that the provider vouches for, and by no other', async () => {
    const ada = await scene.founder();
    const email = known('invited');
    const inviteToken = await scene.invite(ada, email, 'MEMBER');
    const other = await complete({ ...(await returning(known('other'))), inviteToken });
    expect(codes(other)).toEqual([['NOT_FOUND', 'token']]);
    const { answer, payload } = await complete({ ...(await returning(email)), inviteToken });
    expect(payload).toMatchObject({ success: true, user: { email, role: 'MEMBER' } });
    expect(scene.viewerOf(answer).orgId).toBe(ada.viewer.orgId);
    const twice = await scene.send(ACCEPT, { token: inviteToken, name: 'Again', password: PASSWORD });
    expect(twice.auth.success).toBe(false);
  });

  it.each([
    ['that is not verified', { email_verified: false }],
    ['whose verification is text', { email_verified: 'true' }],
    ['that is missing', { email: undefined }],
    ['that is none', { email: 'not an address' }],
  ])('and with an address %s is refused', async (_what, claims) => {
    const refused = await complete({
      ...(await returning(known('doubtful', claims))),
      organizationName: 'Acme',
    });
    expect(codes(refused)).toEqual([['INVALID_CREDENTIALS', null]]);
  });

  it('cannot sign in with a password until they have set one', async () => {
    const email = known('passwordless');
    await complete({ ...(await returning(email)), organizationName: 'Acme' });
    for (const password of ['', PASSWORD, 'null']) {
      const { auth } = await scene.send(LOGIN, { email, password });
      expect(auth.userErrors.map(({ code }) => code)).toEqual(['INVALID_CREDENTIALS']);
    }
  });
});

describe('a person with an account', () => {
  it('is linked when the address was verified here, in whatever case the provider writes it', async () => {
    const email = anEmail('linked');
    const { user } = await verified(email);
    provider.people.set('linked', { email: email.toUpperCase(), email_verified: true });
    const { payload } = await complete(await returning('linked'));
    expect(payload).toMatchObject({ success: true, user: { id: user.id } });
  });

  it('is not linked when it was never verified: somebody may have made it to wait for its owner', async () => {
    const email = known('squatted');
    await scene.send(REGISTER, { email, password: PASSWORD, name: 'Mallory', organizationName: 'Globex' });
    const refused = await complete({ ...(await returning(email)), organizationName: 'Acme' });
    expect(codes(refused)).toEqual([['CONFLICT', 'flowToken']]);
    expect(await scene.sql('select 1 from identities where subject = $1', [email])).toEqual([]);
  });

  it('stays theirs when the address changes at the provider', async () => {
    const email = known('moving');
    const first = await complete({ ...(await returning(email)), organizationName: 'Acme' });
    provider.people.set(email, { email: anEmail('moved'), email_verified: true });
    const { payload } = await complete(await returning(email));
    expect(payload.user).toMatchObject({ id: first.payload.user.id, email });
  });

  it('who is suspended is refused as with a password', async () => {
    const email = known('suspended');
    const { payload } = await complete({ ...(await returning(email)), organizationName: 'Acme' });
    await scene.sql(`update members set status = 'SUSPENDED' where id = $1`, [payload.user.id]);
    expect(codes(await complete(await returning(email)))).toEqual([['INVALID_CREDENTIALS', null]]);
  });

  it('sees their providers, nobody else’s, and forgets one', async () => {
    const ask = `{ viewer { identities { provider providerName email } } users { nodes { id identities { provider } } } }`;
    const email = known('forgetful');
    const { answer } = await complete({ ...(await returning(email)), organizationName: 'Acme' });
    const viewer = scene.viewerOf(answer);
    expect((await scene.user.ask(viewer, ask)).viewer.identities).toEqual([
      { provider: 'test', providerName: 'Test', email },
    ]);
    const { users } = await scene.user.ask(
      { ...viewer, userId: ABSENT },
      ask.replace(/viewer \{.*?\} \}/, ''),
    );
    expect(users.nodes).toEqual([{ id: viewer.userId, identities: null }]);
    const FORGET = `mutation ($provider: String!) { identityUnlink(input: { provider: $provider }) { ${ERRORS} user { identities { provider } } } }`;
    const absent = await scene.user.ask(viewer, FORGET, { provider: 'other' });
    expect(absent.identityUnlink.userErrors).toMatchObject([{ code: 'NOT_FOUND', field: 'provider' }]);
    const { identityUnlink } = await scene.user.ask(viewer, FORGET, { provider: 'test' });
    expect(identityUnlink).toMatchObject({ success: true, user: { identities: [] } });
  });
});

describe('a sign-in', () => {
  it('happens once: neither flow nor callback can be used again', async () => {
    const input = { ...(await returning(known('once'))), organizationName: 'Acme' };
    expect((await complete(input)).payload.success).toBe(true);
    expect(codes(await complete(input))).toEqual([['INVALID_CREDENTIALS', null]]);
    const again = await returning(known('hasty'));
    const all = await Promise.all(
      Array.from({ length: 5 }, () => complete({ ...again, organizationName: 'Acme' })),
    );
    // A provider that sees a code twice may take back what it gave for it the first time.
    expect(all.filter(({ payload }) => payload.success).length).toBeLessThanOrEqual(1);
  });

  it('belongs to the browser that began it: another flow, state or code is refused', async () => {
    const [hers, his] = [await returning(known('hers')), await returning(known('his'))];
    const changed = (name: string, value: string) => {
      const url = new URL(hers.callbackUrl);
      url.searchParams.set(name, value);
      return url.href;
    };
    const forged: object[] = [
      { ...hers, callbackUrl: his.callbackUrl },
      { ...hers, callbackUrl: changed('state', 'x') },
      { ...hers, callbackUrl: changed('code', 'x') },
      { ...hers, callbackUrl: changed('iss', 'http://127.0.0.1:1') },
      { ...hers, flowToken: `${hers.flowToken.slice(0, -4)}AAAA` },
      { ...hers, flowToken: 'made up' },
      { flowToken: '' },
    ];
    for (const input of forged) {
      expect(codes(await complete({ ...input, organizationName: 'Acme' }))).toEqual([
        ['INVALID_CREDENTIALS', null],
      ]);
    }
  });

  it('that the person declines, or whose callback is another page, is refused', async () => {
    const { authorizationUrl, flowToken } = await start();
    const callbackUrl = await provider.decline(authorizationUrl);
    expect(callbackUrl).toContain('error=access_denied');
    expect(codes(await complete({ flowToken, callbackUrl }))).toEqual([['INVALID_CREDENTIALS', null]]);
    for (const url of [
      undefined,
      '',
      'x',
      'http://localhost:4000/other?code=x',
      'https://evil.test/sign-in?code=x',
    ]) {
      const refused = await complete({ flowToken, callbackUrl: url });
      expect(codes(refused)).toEqual([['BAD_USER_INPUT', 'callbackUrl']]);
    }
  });

  it('asks for PKCE, state and nonce, and sends people back to allowed addresses only', async () => {
    const { authorizationUrl } = await start();
    const { searchParams } = new URL(authorizationUrl);
    expect(Object.fromEntries(searchParams)).toMatchObject({
      ...{ response_type: 'code', code_challenge_method: 'S256', redirect_uri: CALLBACK },
      ...{ state: expect.stringMatching(/.{20}/), nonce: expect.stringMatching(/.{20}/) },
    });
    for (const redirectUri of ['https://evil.test/', `${CALLBACK}/`, `${CALLBACK}?x=1`, '']) {
      expect(codes({ payload: await start({ redirectUri }) })).toEqual([['BAD_USER_INPUT', 'redirectUri']]);
    }
    expect(codes({ payload: await start({ provider: 'none' }) })).toEqual([['NOT_FOUND', 'provider']]);
    const { signInProviders } = await scene.user.ask(null, '{ signInProviders { id name } }');
    expect(signInProviders).toEqual([{ id: 'test', name: 'Test' }]);
  });

  it('at a provider that is away is told as an outage', async () => {
    const gone = await aScene({
      USER_SIGN_IN_PROVIDERS: JSON.stringify([{ ...provider.settings, issuer: 'http://127.0.0.1:1' }]),
    });
    const { errors } = await gone.user.send(null, START, {
      input: { provider: 'test', redirectUri: CALLBACK },
    });
    expect(errors).toMatchObject([{ extensions: { code: 'SUBGRAPH_UNAVAILABLE', retryable: true } }]);
  });
});

it('providers are read from one variable, and only secure ones', () => {
  const read = (providers: unknown) =>
    readUserConfig({
      USER_SIGN_IN_PROVIDERS: typeof providers === 'string' ? providers : JSON.stringify(providers),
    }).USER_SIGN_IN_PROVIDERS;
  const google = {
    ...{
      id: 'google',
      name: 'Google',
      issuer: 'https://accounts.google.com',
      clientId: 'a',
      clientSecret: 'b',
    },
  };
  expect(read([google])).toEqual([google]);
  for (const wrong of [
    'google',
    '{}',
    [{ ...google, issuer: 'http://accounts.google.com' }],
    [{ id: 'google' }],
  ]) {
    expect(() => read(wrong)).toThrow('USER_SIGN_IN_PROVIDERS');
  }
});
