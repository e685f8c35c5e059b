import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse } from 'graphql';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeSupergraph } from './fixture.ts';

const MAIN = resolve(import.meta.dirname, '../src/main.ts');
const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@authenticated", "@requiresScopes"])';

/** Somebody else's subgraphs: stock Apollo, interfaces, unions and enums, none of TaskFlow's conventions. */
const SHELVES = `${LINK}
  type Query { shelf: [Item!]!  anything: Thing  best(genre: Genre!): Book }
  interface Item { id: ID! title: String! }
  union Thing = Book | Film
  enum Genre { NOVEL ESSAY }
  type Book implements Item @key(fields: "id") { id: ID! title: String! genre: Genre! next: Book }
  type Film implements Item @key(fields: "id") { id: ID! title: String! }`;
const REVIEWS = `${LINK}
  type Book @key(fields: "id") { id: ID! stars: Int }
  type Film @key(fields: "id") { id: ID! stars: Int }`;

async function aSubgraph(sdl: string, resolvers: object): Promise<string> {
  const server = new ApolloServer({
    schema: buildSubgraphSchema([{ typeDefs: parse(sdl), resolvers: resolvers as never }]),
  });
  const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
  onTestFinished(() => server.stop());
  return url;
}

async function aForeignSupergraph(change: (sdl: string) => string = (sdl) => sdl): Promise<string> {
  const book = { __typename: 'Book', id: 'b1', title: 'Emma', genre: 'NOVEL' };
  const shelves = await aSubgraph(SHELVES, {
    Query: {
      shelf: () => [book, { __typename: 'Film', id: 'f1', title: 'Stalker' }],
      anything: () => book,
      best: (_: unknown, { genre }: { genre: string }) => ({ ...book, genre }),
    },
    Book: { next: () => book },
  });
  const stars = { __resolveReference: ({ id }: { id: string }) => ({ id, stars: 5 }) };
  const reviews = await aSubgraph(REVIEWS, { Book: stars, Film: stars });
  return writeSupergraph([
    { name: 'shelves', url: shelves, sdl: change(SHELVES) },
    { name: 'reviews', url: reviews, sdl: REVIEWS },
  ]);
}

interface Run {
  child: ChildProcess;
  firstLine(): Promise<string>;
  /** Exit code, and everything that was written. */
  ended(): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function run(args: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env.PATH ?? '', ...env } });
  const written = { stdout: '', stderr: '' };
  child.stdout.on('data', (bytes) => {
    written.stdout += bytes;
  });
  child.stderr.on('data', (bytes) => {
    written.stderr += bytes;
  });
  const exit = once(child, 'close');
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return {
    child,
    async firstLine() {
      const [line] = await Promise.race([
        once(createInterface(child.stdout), 'line'),
        exit.then(() => {
          throw new Error(`the router ended: ${written.stderr}`);
        }),
      ]);
      return line;
    },
    async ended() {
      const [code] = await exit;
      return { code, ...written };
    },
  };
}

async function started(args: string[], env?: Record<string, string>) {
  const router = run(args, env);
  const line = await router.firstLine();
  const url = /http:\/\/\S+/.exec(line)?.[0] ?? '';
  const query = async (text: string) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: text }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever shape it asked for
    return { status: response.status, body: (await response.json()) as any };
  };
  return { ...router, line, url, query };
}

describe('the router as a program', () => {
  it('serves a foreign supergraph at the addresses in it, prints one line, and ends with 0 on SIGTERM', async () => {
    const router = await started(['--supergraph', await aForeignSupergraph(), '--port', '0', '--anonymous']);
    const { status, body } = await router.query(
      '{ shelf { __typename id title ... on Book { stars genre } ... on Film { stars } } anything { ... on Book { title } } best(genre: ESSAY) { genre stars } }',
    );
    expect([status, body]).toEqual([
      200,
      {
        data: {
          shelf: [
            { __typename: 'Book', id: 'b1', title: 'Emma', stars: 5, genre: 'NOVEL' },
            { __typename: 'Film', id: 'f1', title: 'Stalker', stars: 5 },
          ],
          anything: { title: 'Emma' },
          best: { genre: 'ESSAY', stars: 5 },
        },
      },
    ]);
    expect((await fetch(`${router.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${router.url}/health/ready`)).status).toBe(200);
    const asked = performance.now();
    router.child.kill('SIGTERM');
    expect(await router.ended()).toEqual({ code: 0, stdout: `${router.line}\n`, stderr: '' });
    expect(performance.now() - asked).toBeLessThan(2_000);
  });

  it('accepts the operations of a benchmark, deep and many at once, and survives a bottomless one', async () => {
    const router = await started(['--supergraph', await aForeignSupergraph(), '--port', '0', '--anonymous']);
    const deep = `{ best(genre: NOVEL) { ${'next { id stars '.repeat(30)}${'}'.repeat(30)} } }`;
    expect((await router.query(deep)).body.errors).toBeUndefined();
    const bottomless = `{ ${'... { '.repeat(6_000)} anything { __typename } ${'}'.repeat(6_000)} }`;
    expect((await router.query(bottomless)).body.errors[0].extensions.code).toBe('OPERATION_TOO_LARGE');
    const answers = await Promise.all(Array.from({ length: 200 }, () => router.query('{ shelf { id } }')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('keeps what @authenticated and @requiresScopes protect, through interfaces too, and serves the rest', async () => {
    const guarded = await aForeignSupergraph((sdl) =>
      sdl
        .replace('genre: Genre! next', 'genre: Genre! @authenticated next')
        .replace('anything: Thing', 'anything: Thing @requiresScopes(scopes: [["read"]])')
        .replace('Film implements Item @key(fields: "id") { id: ID! title: String!', '$& @authenticated'),
    );
    const router = await started(['--supergraph', guarded, '--port', '0', '--anonymous']);
    const codes = async (text: string) => {
      const { status, body } = await router.query(text);
      return [status, body.errors?.[0].extensions.code];
    };
    expect(await codes('{ shelf { id } best(genre: NOVEL) { title stars } }')).toEqual([200, undefined]);
    expect(await codes('{ best(genre: NOVEL) { genre } }')).toEqual([401, 'UNAUTHENTICATED']);
    expect(await codes('{ shelf { title } }')).toEqual([401, 'UNAUTHENTICATED']);
    expect(await codes('{ anything { __typename } }')).toEqual([401, 'UNAUTHENTICATED']);
    expect(await codes('{ anything { __typename } best(genre: NOVEL) { title } }')).toEqual([
      200,
      'UNAUTHENTICATED',
    ]);
  });

  it('starts before its subgraphs do', async () => {
    const file = await writeSupergraph([
      { name: 'shelves', url: 'http://127.0.0.1:1/graphql', sdl: SHELVES },
      { name: 'reviews', url: 'http://127.0.0.1:1/graphql', sdl: REVIEWS },
    ]);
    const router = await started(['--supergraph', file, '--port', '0', '--anonymous']);
    expect((await fetch(`${router.url}/health/ready`)).status).toBe(200);
    const { body } = await router.query('{ anything { __typename } }');
    expect(body.errors[0].extensions.code).toBe('SUBGRAPH_UNAVAILABLE');
  });

  it.each([['ROUTER_PORT'], ['PORT']])('listens where %s says', async (name) => {
    const router = await started(['--supergraph', await aForeignSupergraph(), '--anonymous'], {
      [name]: '0',
    });
    expect((await router.query('{ __typename }')).body).toEqual({ data: { __typename: 'Query' } });
    expect(new URL(router.url).port).not.toBe('4000');
  });

  it('prints its options', async () => {
    const { code, stdout } = await run(['--help']).ended();
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/--supergraph FILE[\s\S]*--port N[\s\S]*--anonymous/),
    ]);
  });

  it.each<[string, string[], RegExp]>([
    ['an unknown option', ['--nothing'], /--nothing/],
    ['a port that is none', ['--port', 'many', '--anonymous'], /ROUTER_PORT/],
    [
      'a file that is not there',
      ['--supergraph', '/nowhere.graphql', '--anonymous', '--port', '0'],
      /\/nowhere\.graphql/,
    ],
    [
      'a file that is no supergraph',
      ['--supergraph', MAIN, '--anonymous', '--port', '0'],
      /main\.ts cannot be served/,
    ],
  ])('ends with 1 and a short message for %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await run(args).ended();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
  });
});
