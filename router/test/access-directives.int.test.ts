import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonwebtoken from 'jsonwebtoken';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSocket } from '../../tests/kit/socket.ts';
import type { PolicyHook } from '../src/policies.ts';
import { ask, codesOf } from './fixture.ts';
import { aForeignRouter, aForeignSubgraph } from './foreign.ts';

const link = (...names: string[]) =>
  `extend schema @link(url: "https://specs.apollo.dev/federation/v2.11", import: ["@key", "@external", "@requires", ${names.join(', ')}])`;

const SHOP = `${link('{ name: "@authenticated", as: "@signedIn" }', '{ name: "@requiresScopes", as: "@scopes" }', '"@policy"')}
  type Query { hello: String!  me: Person  everyone: [Person!]!  item: Item  paid: String @policy(policies: [["paying"]])
    staff: String! @signedIn }
  type Mutation { rename(name: String!): String @scopes(scopes: [["write"], ["read", "admin"]]) }
  type Subscription { ticks: Tick  alarms: Tick @signedIn }
  type Tick { n: Int!  secret: String @signedIn }
  interface Item { id: ID!  title: String }
  type Book implements Item @key(fields: "id") { id: ID!  title: String }
  type Film implements Item @key(fields: "id") { id: ID!  title: String @signedIn }
  type Person @key(fields: "id") { id: ID!  name: String  email: String! @signedIn  salary: Int @scopes(scopes: [["hr"]])
    friend: Person }`;
const TAXES = `${link('{ name: "@requiresScopes", as: "@scopes" }')}
  type Person @key(fields: "id") { id: ID!  salary: Int @external  tax: Int @requires(fields: "salary") @scopes(scopes: [["hr"]])  office: String }`;

const grace = { id: 'grace', name: 'Grace', email: 'grace@x', salary: 10 };
const resolvers = {
  Query: {
    hello: () => 'hello',
    me: () => grace,
    everyone: () => [grace, { ...grace, id: 'ada', name: 'Ada' }],
    item: () => ({ __typename: 'Book', id: 'b', title: 'Emma' }),
    paid: () => 'paid',
    staff: () => 'staff',
  },
  Mutation: { rename: (_: unknown, { name }: { name: string }) => name },
  Person: { __resolveReference: () => grace, friend: () => ({ ...grace, id: 'ada' }) },
  Subscription: {
    ticks: {
      async *subscribe() {
        yield { ticks: { n: 1, secret: 's' } };
      },
    },
    alarms: { async *subscribe() {} },
  },
};

/** An issuer that is not ours: signs with RSA, puts scopes into a claim of its own. */
async function anIssuer() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig' };
  const server = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  const token = (
    claims: object,
    key: KeyObject | string = privateKey,
    algorithm: jsonwebtoken.Algorithm = 'RS256',
  ) =>
    jsonwebtoken.sign({ iss: 'https://id.example', aud: 'shop', ...claims }, key, {
      algorithm,
      keyid: 'k1',
      expiresIn: 600,
    });
  const env = {
    ROUTER_JWKS_URL: url,
    USER_TOKEN_ISSUER: 'https://id.example',
    USER_TOKEN_AUDIENCE: 'shop',
    ROUTER_SCOPES_CLAIM: 'scp',
  };
  return { env, token, publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

async function aShop(options: { env?: NodeJS.ProcessEnv; policies?: PolicyHook } = {}) {
  const issuer = await anIssuer();
  const [shop, taxes] = await Promise.all([
    aForeignSubgraph('shop', SHOP, resolvers),
    aForeignSubgraph('taxes', TAXES, {
      Person: {
        __resolveReference: (person: object) => person,
        tax: ({ salary = 0 }) => salary / 2,
        office: () => 'o',
      },
    }),
  ]);
  const router = await aForeignRouter([shop, taxes], {
    env: { ...issuer.env, ...options.env },
    deps: options.policies ? { policies: options.policies } : {},
  });
  const asked = () => [...shop.calls, ...taxes.calls].map(({ query }) => query).join(' ');
  return { router, issuer, shop, taxes, asked };
}

describe('a supergraph with access directives', () => {
  it('answers what the caller may see, null and an error for the rest, and fetches nothing of that', async () => {
    const { router, asked } = await aShop();
    const { status, body } = await ask(router, '{ hello me { name tax office friend { salary name } } }');
    expect(status).toBe(200);
    expect(body.data).toEqual({
      hello: 'hello',
      me: { name: 'Grace', tax: null, office: 'o', friend: { salary: null, name: 'Grace' } },
    });
    expect(
      body.errors.map(({ path, extensions }: never) => [path, (extensions as { code: string }).code]),
    ).toEqual([
      [['me', 'tax'], 'UNAUTHENTICATED'],
      [['me', 'friend', 'salary'], 'UNAUTHENTICATED'],
    ]);
    expect(asked()).not.toMatch(/salary|tax/);
  });

  it('carries the null of a refused field up to the next that may be null, and tells it once for a list', async () => {
    const { router } = await aShop();
    const answered = await ask(router, '{ me { name email } hello }');
    expect(answered.body.data).toEqual({ me: null, hello: 'hello' });
    const everyone = await ask(router, '{ hello everyone { name email } }');
    expect([everyone.body.data, codesOf(everyone)]).toEqual([null, ['UNAUTHENTICATED']]);
    const salaries = await ask(router, '{ everyone { salary name } }');
    expect(salaries.body.data.everyone).toEqual([
      { salary: null, name: 'Grace' },
      { salary: null, name: 'Ada' },
    ]);
    expect(codesOf(salaries)).toHaveLength(1);
    expect((await ask(router, '{ staff }')).status).toBe(401);
  });

  it('lets a token of the trusted issuer do what its scopes say, and no other token anything', async () => {
    const { router, issuer, asked } = await aShop();
    const salary = async (token: string) => {
      const answered = await ask(router, '{ me { email salary tax } }', { token });
      return answered.body.data?.me ?? codesOf(answered);
    };
    expect(await salary(issuer.token({ scp: ['hr'] }))).toEqual({ email: 'grace@x', salary: 10, tax: 5 });
    expect(await salary(issuer.token({ scp: 'read hr' }))).toEqual({ email: 'grace@x', salary: 10, tax: 5 });
    expect(await salary(issuer.token({ scope: 'hr' }))).toEqual({
      email: 'grace@x',
      salary: null,
      tax: null,
    });
    const before = asked();
    expect(await salary(issuer.token({ aud: 'another' }))).toEqual(['UNAUTHENTICATED']);
    expect(await salary(issuer.token({ iss: 'https://evil.example' }))).toEqual(['UNAUTHENTICATED']);
    // The public key as the secret of a symmetric signature: the algorithm follows from the key, not from the token.
    const forged = jsonwebtoken.sign({ scp: ['hr'] }, issuer.publicPem, {
      algorithm: 'HS256',
      keyid: 'k1',
    });
    expect(await salary(forged)).toEqual(['UNAUTHENTICATED']);
    expect(await salary(issuer.token({ scp: ['hr'] }).replace(/.{9}$/, 'AAAAAAAAA'))).toEqual([
      'UNAUTHENTICATED',
    ]);
    expect(asked()).toBe(before);
  });

  it('runs a mutation only for who holds one of the alternatives in full', async () => {
    const { router, issuer, shop } = await aShop();
    const rename = async (scp: string) =>
      (await ask(router, 'mutation { rename(name: "x") }', { token: issuer.token({ scp }) })).body.data
        .rename;
    expect([await rename('read'), await rename('admin'), await rename('reader')]).toEqual([null, null, null]);
    expect(shop.calls).toEqual([]);
    expect([await rename('write'), await rename('admin read')]).toEqual(['x', 'x']);
  });

  it('asks a hook for policies, and grants none without it, when it fails, or for what it does not name', async () => {
    const without = await aShop();
    expect((await ask(without.router, '{ hello paid }')).body.data).toEqual({ hello: 'hello', paid: null });
    const seen: unknown[] = [];
    const hooked = await aShop({
      policies: ({ policies, caller }) => {
        seen.push(policies);
        if (caller?.claims.sub === 'broken') throw new Error('no decision');
        return caller?.claims.sub === 'payer' ? ['paying'] : ['other'];
      },
    });
    const paid = async (sub: string) => {
      const token = hooked.issuer.token({ sub });
      return (await ask(hooked.router, '{ hello paid }', { token })).body.data.paid;
    };
    expect([await paid('payer'), await paid('guest'), await paid('broken')]).toEqual(['paid', null, null]);
    await ask(hooked.router, '{ hello }');
    expect(seen).toEqual([['paying'], ['paying'], ['paying']]);
  });

  it('refuses the whole operation where that is wanted, before anything is fetched', async () => {
    const { router, asked } = await aShop({ env: { ROUTER_ACCESS_MODE: 'reject' } });
    const answered = await ask(router, '{ hello me { name email } }');
    expect([answered.status, codesOf(answered), answered.body.data]).toEqual([
      401,
      ['UNAUTHENTICATED'],
      undefined,
    ]);
    expect(asked()).toBe('');
  });

  it('keeps it over a WebSocket, for queries and for each event of a subscription', async () => {
    const { router, issuer } = await aShop();
    const anonymous = await openSocket(`${router.url}/graphql`, null);
    const answer = await anonymous.subscribe('{ hello me { name salary } }').frame();
    expect(answer.payload.data).toEqual({ hello: 'hello', me: { name: 'Grace', salary: null } });
    const ticks = anonymous.subscribe('subscription { ticks { n secret } }');
    const { payload } = await ticks.frame();
    expect(payload.data).toEqual({ ticks: { n: 1, secret: null } });
    expect(payload.errors).toHaveLength(1);
    expect((await anonymous.subscribe('subscription { alarms { n } }').frame()).type).toBe('error');
    const signedIn = await openSocket(`${router.url}/graphql`, issuer.token({}));
    expect(await signedIn.subscribe('subscription { ticks { n secret } }').next()).toEqual({
      ticks: { n: 1, secret: 's' },
    });
    const bad = await openSocket(`${router.url}/graphql`, issuer.token({ aud: 'another' })).catch(() => null);
    expect((await bad?.closed)?.code ?? 4401).toBe(4401);
  });

  it('leaves introspection as it is, and the entities of the subgraphs unreachable', async () => {
    const { router } = await aShop();
    const { body } = await ask(router, '{ __schema { queryType { name } } __type(name: "Person") { name } }');
    expect(body.data).toEqual({ __schema: { queryType: { name: 'Query' } }, __type: { name: 'Person' } });
    const entities = await ask(
      router,
      '{ _entities(representations: [{ __typename: "Person", id: "grace" }]) { ... on Person { salary } } }',
    );
    expect([entities.status, codesOf(entities)]).toEqual([400, ['GRAPHQL_VALIDATION_FAILED']]);
  });

  it('is not talked out of it by fragments, aliases, conditions or an interface', async () => {
    const { router, asked } = await aShop();
    const { body } = await ask(
      router,
      `query Q($no: Boolean!) { item { __typename title ... on Film { hidden: title } }
         a: me { ...Pay @include(if: $no) name } b: me { ...Pay } }
       fragment Pay on Person { typename_: id pay: salary ... { deeper: salary } }`,
      { variables: { no: false } },
    );
    expect(body.data).toEqual({
      item: { __typename: 'Book', title: null },
      a: { name: 'Grace' },
      b: { typename_: 'grace', pay: null, deeper: null },
    });
    expect(body.errors.map(({ path }: { path: string[] }) => path.join('.'))).toEqual([
      'item.title',
      'b.pay',
      'b.deeper',
    ]);
    expect(asked()).not.toContain('salary');
  });
});
