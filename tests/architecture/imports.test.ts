import { describe, expect, it } from 'vitest';
import { type Import, imports, isTest, roomOf, SUBGRAPHS } from './tree.ts';

/** What breaks a rule, as a sentence that names the rule and the allowed route. */
const offences = (rule: string, isOffence: (found: Import) => boolean): string[] =>
  imports.filter(isOffence).map(({ file, specifier }) => `${file} imports ${specifier}: ${rule}`);

const product = ({ file }: Import) => !isTest(file);
const isSubgraph = (room: string | null) => room?.startsWith('subgraphs/') ?? false;
const isPrismaClient = (target: string) =>
  target.startsWith('@prisma/') || target.includes('generated/prisma');

describe('who may import whom', () => {
  it('schema knows only itself', () => {
    expect(
      offences(
        'contracts depend on nobody; move what both need into schema/',
        (found) =>
          product(found) &&
          roomOf(found.file) === 'schema' &&
          ![null, 'schema'].includes(roomOf(found.target)),
      ),
    ).toEqual([]);
  });

  it('the kit knows only itself, and neither Prisma nor a domain', () => {
    expect(
      offences(
        'the kit is plumbing; take what you need as an argument',
        (found) =>
          product(found) &&
          roomOf(found.file) === 'kit' &&
          (![null, 'kit'].includes(roomOf(found.target)) || isPrismaClient(found.target)),
      ),
    ).toEqual([]);
  });

  it('no subgraph imports another: they meet in the graph and in the event stream', () => {
    expect(
      offences(
        'publish a fact, or refer to the entity by { id }',
        ({ file, target }) =>
          isSubgraph(roomOf(file)) && isSubgraph(roomOf(target)) && roomOf(file) !== roomOf(target),
      ),
    ).toEqual([]);
  });

  it('a subgraph imports from the rooms only schema and kit', () => {
    expect(
      offences(
        'a service runs without the workbench, the router and the tests',
        (found) =>
          product(found) &&
          isSubgraph(roomOf(found.file)) &&
          ['router', 'dev', 'tests', 'bench', 'prisma'].includes(roomOf(found.target) ?? ''),
      ),
    ).toEqual([]);
  });

  it('the router imports neither a subgraph nor Prisma', () => {
    expect(
      offences(
        'ask the subgraph through the graph',
        (found) =>
          product(found) &&
          roomOf(found.file) === 'router' &&
          (isSubgraph(roomOf(found.target)) ||
            isPrismaClient(found.target) ||
            found.target.startsWith('prisma/')),
      ),
    ).toEqual([]);
  });

  it('the workbench, the tests and the benchmarks take from a subgraph its service and its configuration only', () => {
    const door = /^subgraphs\/\w+\/src\/(service|config)(\.ts)?$/;
    expect(
      offences(
        'start it with createService and talk to it as its clients do',
        ({ file, target }) =>
          ['dev', 'tests', 'bench'].includes(roomOf(file) ?? '') &&
          isSubgraph(roomOf(target)) &&
          !door.test(target),
      ),
    ).toEqual([]);
  });
});

describe('inside a subgraph, imports point one way', () => {
  /** Whom each part may import from within its subgraph. */
  const allowed: Readonly<Record<string, readonly string[]>> = {
    main: ['service', 'config'],
    service: ['config', 'context', 'loaders', 'resolvers', 'events', 'domain', 'data'],
    config: [],
    context: ['loaders', 'domain'],
    loaders: ['domain', 'data'],
    mappers: ['domain', 'data'],
    resolvers: ['resolvers', 'context', 'loaders', 'mappers', 'domain', 'generated', 'data'],
    events: ['events', 'domain', 'data'],
    domain: ['domain', 'data'],
    data: ['data', 'generated'],
    commands: ['config', 'domain', 'data'],
  };
  const partOf = (path: string) => /^subgraphs\/\w+\/src\/([\w-]+)/.exec(path)?.[1] ?? null;
  const inner = imports.filter(
    ({ file, target }) => partOf(file) && partOf(target) && !/\.test\.ts$/.test(file),
  );

  it('main → service → { config, context, loaders, resolvers, events } → domain → data → generated', () => {
    const wrong = inner.filter(({ file, target }) => {
      const [from, to] = [partOf(file) ?? '', partOf(target) ?? ''];
      return from !== 'generated' && !allowed[from]?.includes(to);
    });
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it('the domain and the resolvers take types from data, never its code', async () => {
    const { read } = await import('./tree.ts');
    const code = inner.filter(({ file, specifier, target }) => {
      if (partOf(file) !== 'resolvers' || partOf(target) !== 'data') return false;
      return !new RegExp(`import type [^;]*from '${specifier.replaceAll('.', '\\.')}'`).test(read(file));
    });
    expect(
      code.map(({ file, specifier }) => `${file} imports ${specifier}: ask a use case or a loader`),
    ).toEqual([]);
  });

  it('the domain knows neither GraphQL, DataLoader, Redis nor Prisma', () => {
    const foreign = ['graphql', 'dataloader', 'ioredis', 'pg', '@apollo/server', '@apollo/subgraph'];
    const wrong = imports.filter(
      ({ file, target }) => partOf(file) === 'domain' && (foreign.includes(target) || isPrismaClient(target)),
    );
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it('only data knows Prisma', () => {
    const wrong = imports.filter(
      ({ file, target }) =>
        isSubgraph(roomOf(file)) && !isTest(file) && isPrismaClient(target) && partOf(file) !== 'data',
    );
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });
});

it('the tree that was looked at is the whole one', () => {
  expect(imports.length).toBeGreaterThan(500);
  for (const name of SUBGRAPHS)
    expect(imports.some(({ file }) => file === `subgraphs/${name}/src/service.ts`)).toBe(true);
});
