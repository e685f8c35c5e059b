/**
 * Callers who are not whom they say, at the front door and at the side doors: each is turned away with the documented
 * status or close code before any resolver runs, and no table of any subgraph changes.
 */
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomUUID,
  sign,
} from 'node:crypto';
import { parseKeyRing } from '@taskflow/kit/config';
import {
  bytesOfSubscription,
  CONTEXT_HEADER,
  type KeyRing,
  signContext,
  signEstablished,
  type Viewer,
} from '@taskflow/kit/identity';
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Behind, lookBehind } from '../../kit/behind.ts';
import { aMember, anOrg, aTask, type TestPerson, type TestTask } from '../../kit/seed.ts';
import { openSocket } from '../../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

/** A key of its own for each subgraph, known here: what only a router should know. */
const KEYS = Object.fromEntries(NAMES.map((name) => [name, `k1:${randomUUID()}${randomUUID()}`]));
const ringOf = (name: Subgraph): KeyRing => parseKeyRing(KEYS[name] ?? '');
const CONTEXT_KEYS = Object.fromEntries(
  NAMES.map((name) => [`${name.toUpperCase()}_CONTEXT_KEY`, KEYS[name]]),
);

let supergraph: TestSupergraph;
let behind: Behind;
let ada: TestPerson;
let grace: TestPerson;
let task: TestTask;
let before: Record<string, string>;

beforeAll(async () => {
  supergraph = await aSupergraph({ env: CONTEXT_KEYS });
  behind = lookBehind(supergraph);
  ada = await anOrg(supergraph.client, 'Ada');
  grace = await aMember(ada, 'GUEST', 'Grace');
  task = await aTask(ada, { assigneeId: grace.id });
  await behind.settled();
});

beforeEach(async () => {
  before = await behind.fingerprints();
  supergraph.counts.reset();
});
afterEach(async () => {
  expect(await behind.fingerprints()).toEqual(before);
});

/** Nobody got as far as a database. */
const expectNoStatements = () =>
  expect(supergraph.counts.statements).toEqual({ user: [], org: [], task: [], notification: [] });

const CHANGE = `mutation M($id: ID!) { taskUpdate(input: { id: $id, title: "mine" }) { success task { id } } }`;

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const read = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString());

/** The order of P-256: a signature of zeros, or of it, must not pass for one. */
const ORDER = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');

/** Tokens that Grace, a guest, could make of her own and of what is public, to be an administrator. */
async function forgedTokens(): Promise<Record<string, string>> {
  const [head = '', claims = '', signature = ''] = grace.accessToken.split('.');
  const { kid } = read(head);
  const raised = base64({ ...read(claims), role: 'ORG_ADMIN', sub: ada.id });
  const jwksUrl = supergraph.subgraphUrls.user.replace('/graphql', '/.well-known/jwks.json');
  const jwks = (await (await fetch(jwksUrl)).json()) as { keys: (JsonWebKey & { kid: string })[] };
  const jwk = jwks.keys.find((key) => key.kid === kid) as JsonWebKey;
  const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const der = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
  const hers = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const larger = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const edwards = generateKeyPairSync('ed25519');
  const ownJwk = { ...hers.publicKey.export({ format: 'jwk' }), kid };

  const hmac = (secret: string | Buffer, alg = 'HS256', hashName = 'sha256') => {
    const signed = `${base64({ alg, typ: 'at+jwt', kid })}.${raised}`;
    return `${signed}.${createHmac(hashName, secret).update(signed).digest('base64url')}`;
  };
  const signedBy = (key: KeyObject, header: object, hashName: string | null = 'sha256') => {
    const signed = `${base64({ alg: 'ES256', typ: 'at+jwt', kid, ...header })}.${raised}`;
    const mac = sign(hashName, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${mac.toString('base64url')}`;
  };
  const withHead = (header: object) => `${base64({ ...read(head), ...header })}.${raised}.${signature}`;
  const none = (alg: unknown) => `${base64({ alg, typ: 'at+jwt', kid })}.${raised}`;
  const zeros = Buffer.alloc(64).toString('base64url');
  const order = Buffer.concat([ORDER, ORDER]).toString('base64url');
  return {
    'with other claims under its signature': `${head}.${raised}.${signature}`,
    'without an algorithm': `${none('none')}.`,
    'without an algorithm and with a signature': `${none('none')}.${signature}`,
    'without an algorithm, in capitals': `${none('NONE')}.`,
    'without an algorithm, in both': `${none('nOnE')}.`,
    'with an empty algorithm': `${none('')}.`,
    'with null as algorithm': `${none(null)}.`,
    'with a list of algorithms': `${none(['ES256', 'none'])}.${signature}`,
    'with an algorithm in lower case': withHead({ alg: 'es256' }),
    'made with the public key as the secret of HS256': hmac(pem),
    'made with the public key in DER as the secret of HS256': hmac(der),
    'made with the key set as the secret of HS256': hmac(JSON.stringify(jwks)),
    'made with the key of the set as the secret of HS256': hmac(JSON.stringify(jwk)),
    'made with the public key as the secret of HS384': hmac(pem, 'HS384', 'sha384'),
    'made with the public key as the secret of HS512': hmac(pem, 'HS512', 'sha512'),
    'made with an empty secret': hmac(''),
    'made with the key id as the secret': hmac(kid),
    'signed by a key of her own': signedBy(hers.privateKey, {}),
    'signed by a key of her own that she brings along': signedBy(hers.privateKey, { jwk: ownJwk }),
    'signed by a key of her own under an address': signedBy(hers.privateKey, { jku: jwksUrl }),
    'signed by a key of her own under a certificate': signedBy(hers.privateKey, {
      x5u: 'http://127.0.0.1:1/x5u',
      x5c: ['AAAA'],
    }),
    'signed with ES384': signedBy(larger.privateKey, { alg: 'ES384' }, 'sha384'),
    'signed with RS256': signedBy(rsa.privateKey, { alg: 'RS256' }),
    'signed with EdDSA': signedBy(edwards.privateKey, { alg: 'EdDSA' }, null),
    'signed with zeros': `${head}.${raised}.${zeros}`,
    'signed with the order of the curve': `${head}.${raised}.${order}`,
    'without a signature': `${head}.${claims}.`,
    'with half a signature': `${head}.${claims}.${signature.slice(0, 43)}`,
    'with more than a signature': `${head}.${claims}.${signature}AAAA`,
    'with two signatures': `${head}.${claims}.${signature}.${signature}`,
    'of a key id that is a path': withHead({ kid: '../../../../dev/null' }),
    'of a key id that is SQL': withHead({ kid: "x' union select 'AAAA" }),
    'of a key id that is a property of every object': withHead({ kid: '__proto__' }),
    'of a key id that is a list': withHead({ kid: [kid] }),
    'of a key id that is an object': withHead({ kid: { toString: kid } }),
    'of a key id with a zero byte': withHead({ kid: `${kid}\u0000` }),
    'of another type': signedBy(hers.privateKey, { typ: 'JWT' }),
    'with a critical extension': withHead({ crit: ['exp'], exp: 0 }),
    'with an unencoded payload': withHead({ crit: ['b64'], b64: false }),
    'within a token': `${base64({ ...read(head), cty: 'JWT' })}.${base64({ nested: grace.accessToken })}.${signature}`,
    'encrypted in name': `${base64({ alg: 'dir', enc: 'A256GCM', kid })}..AAAA.${raised}.AAAA`,
    'that is a refresh token': grace.refreshToken,
    'that is a signed context': signContext(
      ringOf('user'),
      {
        viewer: {
          orgId: ada.organizationId,
          userId: ada.id,
          role: 'ORG_ADMIN',
          sessionId: randomUUID(),
        },
        ...{ requestId: 'forged', audience: 'router' },
      },
      '',
    ),
    'as long as a header may be': `${head}.${raised}${'A'.repeat(7_000)}.${signature}`,
  };
}

describe('an access token', () => {
  it('that is forged is UNAUTHENTICATED with 401, however it is forged, in more than forty ways', async () => {
    const [head = '', claims = '', signature = ''] = grace.accessToken.split('.');
    expect(Object.keys(await forgedTokens()).length).toBeGreaterThan(40);
    expect((await grace.client.send('{ viewer { role } }')).text, 'the one they are made of').toContain(
      'GUEST',
    );
    expect([head, claims, signature].every((part) => part.length > 40)).toBe(true);
    supergraph.counts.reset();
    for (const [what, token] of Object.entries(await forgedTokens())) {
      const answer = await supergraph.client.as(token).send(CHANGE, { id: task.id });
      const codes = answer.errors.map(({ extensions }) => extensions.code);
      expect([what, answer.status, codes, answer.data]).toEqual([what, 401, ['UNAUTHENTICATED'], null]);
    }
    expectNoStatements();
  });

  it('that is absent is UNAUTHENTICATED with 401, for reads and writes', async () => {
    for (const query of ['{ viewer { id } }', '{ tasks { nodes { id } } }', CHANGE]) {
      const answer = await supergraph.client.send(query, query === CHANGE ? { id: task.id } : {});
      const codes = new Set(answer.errors.map(({ extensions }) => extensions.code));
      expect([query, answer.status, [...codes]]).toEqual([query, 401, ['UNAUTHENTICATED']]);
    }
    expectNoStatements();
  });
});

describe('a socket', () => {
  const closeOf = async (payload: object | undefined) => {
    const socket = await openSocket(supergraph.url, undefined);
    socket.send({ type: 'connection_init', ...(payload ? { payload } : {}) });
    return socket.closed;
  };

  it('is closed with 4401 without a token and with each forged one', async () => {
    const forged = Object.values(await forgedTokens()).map((token) => ({ authorization: `Bearer ${token}` }));
    for (const payload of [undefined, {}, { authorization: 'Bearer x' }, { authorization: 1 }, ...forged]) {
      expect([payload, (await closeOf(payload)).code]).toEqual([payload, 4401]);
    }
    expectNoStatements();
  });

  it('is closed with 4401 when it subscribes before the acknowledgement', async () => {
    const socket = await openSocket(supergraph.url, undefined);
    socket.subscribe(CHANGE, { id: task.id });
    expect((await socket.closed).code).toBe(4401);
    expectNoStatements();
  });
});

describe('a direct call to a subgraph', () => {
  const viewerOfAda = (): Viewer => ({
    ...{ orgId: ada.organizationId, userId: ada.id, role: 'ORG_ADMIN', sessionId: randomUUID() },
  });
  const questions = () => [
    '{ __typename }',
    '{ _service { sdl } }',
    '{ __schema { types { name } } }',
    `{ _entities(representations: [{ __typename: "User", id: "${ada.id}" }]) { __typename } }`,
    'mutation { logout { success } }',
    CHANGE,
    '',
  ];

  const call = async (name: Subgraph, body: string, context?: string) => {
    const response = await fetch(supergraph.subgraphUrls[name], {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(context ? { [CONTEXT_HEADER]: context } : {}) },
      body,
    });
    const answer = (await response.json()) as { errors?: { extensions: { code: string } }[]; data?: unknown };
    const { errors = [] } = answer;
    return [response.status, errors.map(({ extensions }) => extensions.code), answer.data ?? null];
  };
  const refused = [401, ['UNAUTHENTICATED'], null];

  it.each(NAMES)('%s without a context is 401, whatever it asks', async (name) => {
    for (const query of questions()) {
      expect([query, ...(await call(name, JSON.stringify({ query })))]).toEqual([query, ...refused]);
    }
    expectNoStatements();
  });

  it.each(NAMES)('%s with a context that its router did not make for these bytes is 401', async (name) => {
    const body = JSON.stringify({ query: '{ __typename }' });
    const other = NAMES[(NAMES.indexOf(name) + 1) % NAMES.length] as Subgraph;
    const claims = { viewer: viewerOfAda(), requestId: 'forged', audience: name };
    const good = signContext(ringOf(name), claims, body);
    const [version, kid, payload, mac] = good.split('.') as [string, string, string, string];
    const raised = base64({ ...read(payload), viewer: { ...claims.viewer, userId: randomUUID() } });
    const forged: Record<string, string> = {
      'of another key under the same name': signContext(parseKeyRing(`k1:${'x'.repeat(64)}`), claims, body),
      'of another subgraph’s key': signContext(ringOf(other), claims, body),
      'for another subgraph': signContext(ringOf(name), { ...claims, audience: other }, body),
      'for other bytes': signContext(ringOf(name), claims, `${body} `),
      'of a minute ago': signContext(ringOf(name), claims, body, Date.now() - 60_000),
      'of next hour': signContext(ringOf(name), claims, body, Date.now() + 3_600_000),
      'with another viewer': `${version}.${kid}.${raised}.${mac}`,
      'of an unknown key': `${version}.k9.${payload}.${mac}`,
      'without a signature': `${version}.${kid}.${payload}.`,
      'that is an established header': signEstablished(ringOf(name), { viewer: claims.viewer }),
      'that is an access token': ada.accessToken,
    };
    for (const [what, context] of Object.entries(forged)) {
      expect([what, ...(await call(name, body, context))]).toEqual([what, ...refused]);
    }
    expectNoStatements();
    const response = await fetch(supergraph.subgraphUrls[name], {
      method: 'POST',
      headers: { 'content-type': 'application/json', [CONTEXT_HEADER]: good },
      body,
    });
    expect(await response.json(), 'the good one that these were made of').toMatchObject({
      data: { __typename: 'Query' },
    });
    expect(await call(name, body, good), 'the good one, replayed').toEqual(refused);
  });

  it('with a context that was used before is 401, the very bytes with it: a copied write happens once', async () => {
    const body = JSON.stringify({ query: CHANGE, variables: { id: randomUUID() } });
    const context = signContext(
      ringOf('task'),
      { viewer: viewerOfAda(), requestId: 'copied', audience: 'task' },
      body,
    );
    const answers = await Promise.all(Array.from({ length: 20 }, () => call('task', body, context)));
    expect(answers.filter(([status]) => status !== 401)).toHaveLength(1);
  });

  it.each(['task', 'notification'] as const)(
    '%s over a socket without a good context opens no stream',
    async (name) => {
      const query = `subscription { ${name}Events { __typename } }`;
      const claims = { viewer: viewerOfAda(), requestId: 'forged', audience: name };
      for (const context of [undefined, 'x', signContext(ringOf(name), claims, 'other bytes')]) {
        const socket = await openSocket(supergraph.subgraphUrls[name], null);
        const { type, payload } = await socket.subscribe(query, {}, context ? { context } : {}).frame();
        expect([type, payload[0].extensions.code]).toEqual(['error', 'UNAUTHENTICATED']);
      }
      expectNoStatements();
      const context = signContext(ringOf(name), claims, bytesOfSubscription(query, {}));
      const socket = await openSocket(supergraph.subgraphUrls[name], null);
      expect((await socket.subscribe(query, {}, { context }).frame()).type).toBe('next');
      const { type, payload } = await socket.subscribe(query, {}, { context }).frame();
      expect([type, payload[0].extensions.code]).toEqual(['error', 'UNAUTHENTICATED']);
    },
  );
});

it('an expired token is TOKEN_EXPIRED with 401, and 4401 over a socket', async () => {
  const hasty = await aSupergraph({ env: { USER_ACCESS_TOKEN_TTL_MS: '1000' } });
  const hopper = await anOrg(hasty.client, 'Hopper');
  const expired = await until('the token to expire', async () => {
    const answer = await hopper.client.send('{ viewer { id } }');
    return answer.errors.length > 0 && answer;
  });
  expect(expired.status).toBe(401);
  expect(expired.errors.map(({ extensions }) => extensions.code)).toEqual(['TOKEN_EXPIRED']);
  const inside = lookBehind(hasty);
  await inside.settled();
  const rows = await inside.fingerprints();
  hasty.counts.reset();
  const change = await hopper.client.send('mutation { taskCreate(input: { title: "late" }) { success } }');
  expect(change.errors.map(({ extensions }) => extensions.code)).toEqual(['TOKEN_EXPIRED']);
  const socket = await openSocket(hasty.url, undefined);
  socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${hopper.accessToken}` } });
  expect(await socket.closed).toMatchObject({ code: 4401, reason: expect.stringContaining('TOKEN_EXPIRED') });
  expect(await inside.fingerprints()).toEqual(rows);
  expect(hasty.counts.statements).toEqual({ user: [], org: [], task: [], notification: [] });
});
