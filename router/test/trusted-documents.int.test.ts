import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { collectOperations, manifestOf } from '@taskflow/dev/documents';
import { openSocket } from '@taskflow/tests/kit/socket';
import { until } from '@taskflow/tests/kit/until';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readRouterConfig } from '../src/config.ts';
import type { TrustMode } from '../src/stages/trusted-documents.ts';
import { aRouter, aSupergraph, aViewer, codesOf, send } from './fixture.ts';

const ME = 'query Me { me { id } }';
const TASKS = 'query Tasks($count: Int!) { tasks(count: $count) { id } }';
const STRANGE = '{ health }';
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

const operation = (id: string, body: string) => ({ id, name: 'Any', type: 'query', body });
const apollos = (...operations: object[]) => ({
  format: 'apollo-persisted-query-manifest',
  version: 1,
  operations,
});

async function aFile(content: object | string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-documents-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const file = join(dir, 'documents.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

async function aScene(
  mode: TrustMode,
  manifest: object | string = apollos(operation(hashOf(ME), ME), operation('tasks-1', TASKS)),
) {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const supergraph = await aSupergraph();
  const file = await aFile(manifest);
  const router = await aRouter(
    supergraph,
    (config) => ({ ...config, supergraphPollMs: 20, trustedDocuments: { file, mode } }),
    { log: pino({ level: 'warn' }, stream) },
  );
  const token = supergraph.tokenFor(aViewer());
  const post = (body: object) =>
    send(router, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  const told = () =>
    lines
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => msg === 'a document is not among the trusted ones');
  return { supergraph, router, token, file, post, told };
}

const byHash = (sha256Hash: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash } } });

describe('a registered document', () => {
  it('is asked for by its id: as a persisted query, or as documentId, with or without the prefix', async () => {
    const { post, supergraph } = await aScene('enforce');
    const variables = { count: 2 };
    const answers = [
      await post(byHash(hashOf(ME))),
      await post({ documentId: hashOf(ME) }),
      await post({ documentId: `sha256:${hashOf(ME)}` }),
      await post({ documentId: 'tasks-1', variables }),
      await post({ ...byHash('tasks-1'), variables }),
      await post({ query: ME }),
    ];
    expect(answers.map((answer) => [answer.status, Object.keys(answer.body.data)])).toEqual(
      ['me', 'me', 'me', 'tasks', 'tasks', 'me'].map((field) => [200, [field]]),
    );
    expect(supergraph.calls).toHaveLength(6);
  });

  it('is asked for over a socket and by GET alike', async () => {
    const { router, token } = await aScene('enforce');
    const socket = await openSocket(`${router.url}/graphql`, token);
    const { extensions } = byHash(hashOf(ME));
    for (const started of [
      socket.subscribe('', {}, extensions),
      socket.subscribe('', {}, undefined, { documentId: hashOf(ME) }),
    ]) {
      expect(await started.next()).toHaveProperty('me.id');
    }
    const search = new URLSearchParams({ extensions: JSON.stringify(extensions) });
    const headers = { authorization: `Bearer ${token}`, 'apollo-require-preflight': '1' };
    expect((await send(router, { headers }, `/graphql?${search}`)).body.data).toHaveProperty('me.id');
  });

  it('has the limits that all have', async () => {
    const costly = { ...readRouterConfig({}).cost, costMax: 10, listSize: 20 };
    const supergraph = await aSupergraph();
    const file = await aFile({ [hashOf(TASKS)]: TASKS });
    const router = await aRouter(supergraph, (config) => ({
      ...config,
      cost: costly,
      trustedDocuments: { file, mode: 'enforce' },
    }));
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${supergraph.tokenFor(aViewer())}`,
    };
    const answer = await send(router, {
      method: 'POST',
      headers,
      body: JSON.stringify({ documentId: hashOf(TASKS), variables: { count: 1 } }),
    });
    expect([codesOf(answer), supergraph.calls]).toEqual([['COST_LIMIT_EXCEEDED'], []]);
  });
});

describe('any other document', () => {
  it('is refused by enforce, introspection and what was sent with its hash included, over both transports', async () => {
    const { post, router, token, supergraph } = await aScene('enforce');
    const bodies = [
      ...[
        { query: STRANGE },
        { query: `${ME} ` },
        { query: '{ __schema { types { name } } }' },
        { query: '{ __typename }' },
      ],
      ...[
        { query: '{ nonsense' },
        { query: STRANGE, ...byHash(hashOf(STRANGE)) },
        { query: STRANGE, documentId: hashOf(ME) },
      ],
      ...[byHash(hashOf(STRANGE)), { documentId: 'unknown' }, { documentId: '__proto__' }],
    ];
    const codes = [];
    for (const body of bodies) codes.push(codesOf(await post(body)));
    expect(codes).toEqual(bodies.map(() => ['PERSISTED_QUERY_REQUIRED']));
    const headers = { authorization: `Bearer ${token}`, 'apollo-require-preflight': '1' };
    for (const query of [STRANGE, '{ nonsense', '{ meh }']) {
      const answer = await send(router, { headers }, `/graphql?${new URLSearchParams({ query })}`);
      expect([query, codesOf(answer)]).toEqual([query, ['PERSISTED_QUERY_REQUIRED']]);
    }
    const socket = await openSocket(`${router.url}/graphql`, token);
    expect((await socket.subscribe(STRANGE).frame()).payload[0].extensions.code).toBe(
      'PERSISTED_QUERY_REQUIRED',
    );
    expect(supergraph.calls).toEqual([]);
  });

  it('is answered by log, and told once', async () => {
    const { post, told } = await aScene('log');
    for (const query of [STRANGE, ME, STRANGE, STRANGE]) expect((await post({ query })).status).toBe(200);
    expect(told()).toMatchObject([{ level: 40, document: hashOf(STRANGE) }]);
    expect(codesOf(await post({ documentId: 'unknown' }))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
  });

  it('is answered by off, and nobody is told', async () => {
    const { post, told } = await aScene('off');
    expect((await post({ query: STRANGE })).body).toEqual({ data: { health: 'fine' } });
    expect((await post({ documentId: hashOf(ME) })).body.data).toHaveProperty('me');
    expect(codesOf(await post(byHash(hashOf(STRANGE))))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    expect(told()).toEqual([]);
  });
});

describe('the manifest', () => {
  it('is read again when it changes; one that is broken changes nothing', async () => {
    const { post, file } = await aScene('enforce');
    const statusOf = async (id: string) => (await post({ documentId: id })).status;
    await writeFile(file, JSON.stringify({ health: STRANGE }));
    await until('the new manifest', async () => (await statusOf('health')) === 200);
    expect(await statusOf(hashOf(ME))).toBe(400);
    for (const broken of ['{', '[]', '{"a": "{ nonsense"}', '{"format":"other","version":1}']) {
      await writeFile(file, broken);
      await new Promise((resolve) => setImmediate(resolve));
      expect(await statusOf('health')).toBe(200);
    }
  });

  it('that is none keeps the router from starting, and so does none at all', async () => {
    await expect(aScene('enforce', '{"a": 1}')).rejects.toThrow(
      /trusted documents .* cannot be used: .*"a" is no text/,
    );
    expect(() => readRouterConfig({ ROUTER_TRUSTED_DOCUMENTS: 'enforce' })).toThrow(
      /ROUTER_TRUSTED_DOCUMENTS_FILE: required/,
    );
  });

  it('is made of client code: fragments are resolved, ids are hashes, what is not valid is refused', async () => {
    const code =
      'const A = graphql(`query A { tasks { nodes { ...C } } }`);\nconst C = gql`fragment C on Task { id title }`;';
    const client = (await aFile('')).replace('documents.json', 'client.ts');
    await writeFile(client, code);
    const collect = (globs: string[]) => collectOperations({ globs, schema: 'schema/api.graphql' });
    const operations = await collect([client]);
    expect(operations).toMatchObject([{ name: 'A', type: 'query', id: hashOf(operations[0]?.body ?? '') }]);
    expect(operations[0]?.body).toContain('fragment C on Task');
    expect(manifestOf(operations, true)).toEqual({ [operations[0]?.id ?? '']: operations[0]?.body });
    await writeFile(client, code.replace('title', 'colour'));
    await expect(collect([client])).rejects.toThrow();
  });
});
