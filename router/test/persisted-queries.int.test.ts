import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { openSocket } from '@taskflow/tests/kit/socket';
import { until } from '@taskflow/tests/kit/until';
import { beforeEach, describe, expect, it } from 'vitest';
import { hashOf } from '../src/gateway/persisted-documents.ts';
import type { Router } from '../src/server.ts';
import { type Answered, aRouter, aSupergraph, codesOf, log, send, type TestSupergraph } from './fixture.ts';

let supergraph: TestSupergraph;
let router: Router;

beforeEach(async () => {
  supergraph = await aSupergraph();
  router = await aRouter(supergraph);
});

const HEALTH = '{ health }';
const FINE = { data: { health: 'fine' } };

const persisted = (sha256Hash: unknown, version: unknown = 1) => ({
  persistedQuery: { version, sha256Hash },
});

function post(body: object, of = router): Promise<Answered> {
  return send(of, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

function get(params: object, of = router): Promise<Answered> {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    search.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  return send(of, { headers: { 'apollo-require-preflight': '1' } }, `/graphql?${search}`);
}

const register = (query: string, of = router) => post({ query, extensions: persisted(hashOf(query)) }, of);
const byHash = (query: string, of = router) => post({ extensions: persisted(hashOf(query)) }, of);

describe('a hash in place of a text', () => {
  it('is not found with 200, and answered once the text came with it, over POST, GET and WebSocket', async () => {
    const unknown = await byHash(HEALTH);
    expect([unknown.status, codesOf(unknown), unknown.body.errors[0].message]).toEqual([
      200,
      ['PERSISTED_QUERY_NOT_FOUND'],
      'PersistedQueryNotFound',
    ]);
    const unknownByGet = await get({ extensions: persisted(hashOf(HEALTH)) });
    expect([unknownByGet.status, codesOf(unknownByGet)]).toEqual([200, ['PERSISTED_QUERY_NOT_FOUND']]);
    expect((await register(HEALTH)).body).toEqual(FINE);
    expect((await byHash(HEALTH)).body).toEqual(FINE);
    expect((await get({ extensions: persisted(hashOf(HEALTH)) })).body).toEqual(FINE);
    const token = supergraph.tokenFor({ orgId: 'o', userId: 'u', role: 'MEMBER', sessionId: 's' });
    const socket = await openSocket(`${router.url}/graphql`, token);
    expect(await socket.subscribe('', {}, persisted(hashOf(HEALTH))).next()).toEqual(FINE.data);
  });

  it('is registered over GET and over WebSocket as well', async () => {
    const [overGet, overSocket] = ['{ health __typename }', '{ a: health }'];
    await get({ query: overGet, extensions: persisted(hashOf(overGet)) });
    expect((await byHash(overGet)).body.data).toEqual({ health: 'fine', __typename: 'Query' });
    const token = supergraph.tokenFor({ orgId: 'o', userId: 'u', role: 'MEMBER', sessionId: 's' });
    const socket = await openSocket(`${router.url}/graphql`, token);
    await socket.subscribe(overSocket, {}, persisted(hashOf(overSocket))).next();
    expect((await byHash(overSocket)).body.data).toEqual({ a: 'fine' });
  });

  it.each<[string, object]>([
    ['of another text', { query: HEALTH, extensions: persisted(hashOf('{ me { id } }')) }],
    ['that is no string', { query: HEALTH, extensions: persisted(['x']) }],
    ['of another version', { extensions: persisted(hashOf(HEALTH), 2) }],
    ['without a version', { extensions: persisted(hashOf(HEALTH), null) }],
  ])('%s is refused, and poisons nothing', async (_what, body) => {
    for (const answered of [await post(body), await get(body)])
      expect([answered.status, codesOf(answered)]).toEqual([400, ['BAD_REQUEST']]);
    expect(codesOf(await byHash('{ me { id } }'))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    expect(supergraph.calls).toEqual([]);
  });

  it.each([
    ['beyond the limits', `{ ${'health '.repeat(21)} }`],
    ['that is not valid', '{ nothing }'],
    ['that cannot be parsed', '{ health '],
  ])('does not bring back a text %s: it was never kept', async (_what, query) => {
    expect((await register(query)).status).toBe(400);
    expect(codesOf(await byHash(query))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
  });

  it('is forgotten when too many others came since', async () => {
    const small = await aRouter(supergraph, (config) => ({ ...config, persistedBytesMax: 5_000 }));
    for (let n = 0; n < 40; n++) await register(`query Q${n} { health }`, small);
    expect(codesOf(await byHash('query Q0 { health }', small))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    expect((await byHash('query Q39 { health }', small)).body).toEqual(FINE);
  });
});

describe('with Redis behind it', async () => {
  const server = await aRedis();
  const redis = await server.connect();
  const replica = (url = server.url) =>
    aRouter(supergraph, (config) => ({ ...config, redisUrl: url }), { redisPrefix: server.prefix, log });

  it('one replica answers what another one was told, for a day', async () => {
    const [one, other] = [await replica(), await replica()];
    await register(HEALTH, one);
    const key = redis.keys.persistedDocument(hashOf(HEALTH));
    await until('the text to be in Redis', () => redis.commands.exists(key));
    expect((await byHash(HEALTH, other)).body).toEqual(FINE);
    expect(await redis.commands.ttl(key)).toBeGreaterThan(86_000);
  });

  it('a text that somebody put there under the hash of another is not run', async () => {
    const query = '{ me { id } }';
    await redis.commands.set(redis.keys.persistedDocument(hashOf(query)), HEALTH, 'EX', 60);
    expect(codesOf(await byHash(query, await replica()))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
  });

  it('a Redis that hangs or is away is a miss, and what is known here is answered', async () => {
    const own = await startOwnRedis();
    const behind = await replica(own.url);
    expect((await register(HEALTH, behind)).body).toEqual(FINE);
    own.freeze();
    expect(codesOf(await byHash('{ a: health }', behind))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    own.resume();
    await own.kill();
    expect(codesOf(await byHash('{ b: health }', behind))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    expect((await byHash(HEALTH, behind)).body).toEqual(FINE);
  });
});
