import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { OperatorCommand } from '@taskflow/kit/command';
import { describe, expect, it } from 'vitest';
import { files, isTest, read, root, SUBGRAPHS, sources } from './tree.ts';

describe('the four subgraphs are alike', () => {
  const silhouette = [
    ...['README.md', 'package.json'],
    ...['main', 'service', 'config', 'context', 'loaders', 'mappers'].map((part) => `src/${part}.ts`),
    ...['src/data/database.ts', 'src/data/outbox.ts', 'src/events/index.ts'],
    ...['src/resolvers/index.ts', 'src/resolvers/Query.ts', 'src/resolvers/Mutation.ts'],
    ...['test/api.int.test.ts', 'test/entities.int.test.ts', 'test/events.int.test.ts'],
  ];

  it.each(SUBGRAPHS)('%s has the silhouette', (name) => {
    const missing = silhouette.filter((file) => !existsSync(join(root, 'subgraphs', name, file)));
    expect(missing).toEqual([]);
  });

  it('have no folder that their sisters do not know', () => {
    const known = ['commands', 'data', 'domain', 'events', 'generated', 'resolvers'];
    for (const name of SUBGRAPHS) {
      const folders = readdirSync(join(root, 'subgraphs', name, 'src'), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name);
      expect(folders.filter((folder) => !known.includes(folder))).toEqual([]);
    }
  });

  it('have commands for operators that are files of their own, told in the README', async () => {
    const commands = files.filter((file) => /^subgraphs\/\w+\/src\/commands\//.test(file));
    expect(commands.length).toBeGreaterThan(0);
    for (const file of commands) {
      const { command } = (await import(join(root, file))) as { command?: OperatorCommand };
      expect(typeof command?.run, `${file} exports a command`).toBe('function');
      expect(command?.summary, file).toMatch(/^[A-Z].*\.$/);
      const words = basename(file, '.ts').replaceAll('-', ' ');
      expect(read(`subgraphs/${file.split('/')[1]}/README.md`), `${words} is not told`).toContain(
        `operator -- ${words}`,
      );
    }
  });

  it('have the same scripts, and a main that does the same', () => {
    const told = (name: string) => ({
      scripts: JSON.parse(read(`subgraphs/${name}/package.json`)).scripts,
      main: read(`subgraphs/${name}/src/main.ts`)
        .replaceAll('@taskflow', '@')
        .replaceAll(new RegExp(name, 'gi'), 'x'),
    });
    const [first, ...others] = SUBGRAPHS.map(told);
    for (const other of others) expect(other).toEqual(first);
  });

  it('export the same from each part', () => {
    const exportsOf = (name: string, part: string) =>
      [
        ...read(`subgraphs/${name}/src/${part}.ts`).matchAll(
          /^export (?:const|function|interface|type) (\w+)/gm,
        ),
      ]
        .map(([, exported]) => (exported ?? '').replaceAll(new RegExp(name, 'gi'), 'x'))
        .sort();
    const alike = { main: [], service: ['ServiceDeps', 'createService'], 'events/index': ['createHandlers'] };
    for (const [part, exported] of Object.entries(alike)) {
      for (const name of SUBGRAPHS) expect(exportsOf(name, part), `${name}/${part}`).toEqual(exported);
    }
    for (const name of SUBGRAPHS) {
      expect(exportsOf(name, 'config'), name).toEqual(['readxConfig', 'variables', 'xConfig']);
      expect(exportsOf(name, 'context'), name).toEqual(
        expect.arrayContaining(['Context', 'createContextFactory']),
      );
      expect(exportsOf(name, 'loaders'), name).toEqual(expect.arrayContaining(['Loaders', 'createLoaders']));
      expect(exportsOf(name, 'data/database'), name).toEqual(
        expect.arrayContaining(['Database', 'Tx', 'createDatabase', 'sqlOf', 'unscopedTables']),
      );
    }
  });

  it('reach their databases by the same door: a client over the pool of tenants, made safe for them', () => {
    const clientOf = (name: string) =>
      /openDatabase<Tx>\(options, (\(pool\) => \{[\s\S]*?\n {2,4}\})\);/.exec(
        read(`subgraphs/${name}/src/data/database.ts`),
      )?.[1];
    expect(clientOf('org')).toContain('$extends(tenantSafe)');
    for (const name of SUBGRAPHS) expect(clientOf(name), name).toBe(clientOf('org'));
  });

  it('never ask Prisma for findUnique, which it merges across tenants: use findFirst or a loader', () => {
    const callers = sources.filter(
      (file) => file.startsWith('subgraphs/') && !isTest(file) && /\.findUnique(OrThrow)?\(/.test(read(file)),
    );
    expect(callers).toEqual([]);
  });

  it('say in their README what they own, refer to, publish, consume and read', () => {
    for (const name of SUBGRAPHS) {
      const readme = read(`subgraphs/${name}/README.md`);
      const unsaid = ['owns', 'refers to', 'publishes', 'consumes', 'variables'].filter(
        (part) => !readme.includes(`- **${part}** `),
      );
      expect(unsaid, `${name}/README.md`).toEqual([]);
    }
  });

  it('publish and consume what their README says', async () => {
    const { facts } = await import('@taskflow/schema/events');
    for (const name of SUBGRAPHS) {
      const readme = read(`subgraphs/${name}/README.md`);
      const concerned = Object.entries(facts).filter(
        ([, { source, consumers }]) => source === name || (consumers as readonly string[]).includes(name),
      );
      const unsaid = concerned.map(([type]) => type).filter((type) => !readme.includes(`\`${type}\``));
      expect(unsaid, `${name}/README.md`).toEqual([]);
    }
  });
});

describe('the house', () => {
  it('has no drawer: no folder is named after nothing', () => {
    const drawers = /(^|\/)(common|shared|utils|util|helpers|lib|core|misc)\//;
    expect(files.filter((file) => drawers.test(file))).toEqual([]);
  });

  it('names files in kebab-case, and resolvers after their GraphQL type', () => {
    const misnamed = sources.filter((file) => {
      const name = file.split('/').at(-1) ?? '';
      if (/^subgraphs\/\w+\/src\/resolvers\/[A-Z]/.test(file)) return !/^[A-Z][A-Za-z]*\.ts$/.test(name);
      return !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*\.(ts|mjs)$/.test(name);
    });
    expect(misnamed).toEqual([]);
  });

  it('shows every room on the map of the README', () => {
    const readme = read('README.md');
    const rooms = [
      ...new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0] ?? '')),
    ];
    const unshown = rooms.filter((room) => !room.startsWith('.') && !readme.includes(`\`${room}/\``));
    expect(unshown).toEqual([]);
  });

  it('reads the environment only at its doors', () => {
    const doors = [
      /^subgraphs\/\w+\/src\/main\.ts$/, // hands it to config.ts
      /^router\/src\/(main|gateway\/loaded-supergraph)\.ts$/, // the second switches Apollo's telemetry off
      /^router\/src\/landing\/build-graphiql\.mjs$/,
      /^(dev|bench)\//, // starts processes, and gives them theirs
      /^prisma\/(bootstrap|check|migrate)\.ts$/, // commands
    ];
    const readers = sources.filter(
      (file) => !isTest(file) && /process\.env\b/.test(withoutComments(read(file))),
    );
    expect(readers.filter((file) => !doors.some((door) => door.test(file)))).toEqual([]);
  });

  it('narrows no test and silences no check without its reason', () => {
    const narrowed = sources
      .filter((file) => file !== 'tests/architecture/house.test.ts')
      .filter((file) => /\b(it|test|describe)\.(only|skip|todo)\b/.test(read(file)));
    expect(narrowed).toEqual([]);
    const silenced = sources.flatMap((file) =>
      read(file)
        .split('\n')
        .filter((line) => /@ts-(ignore|nocheck|expect-error)|biome-ignore(?!.*: .{10})/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(silenced.filter((line) => !line.startsWith('tests/architecture/house.test.ts'))).toEqual([]);
  });

  it('builds Redis keys in kit/keys.ts alone', () => {
    const literal = /['"`](live|work|sentinel|control|revoked|lease|calls|callers|plan):/;
    const builders = sources.filter(
      (file) => !isTest(file) && file !== 'kit/keys.ts' && literal.test(withoutComments(read(file))),
    );
    expect(builders).toEqual([]);
  });

  it('hands on the switch that rewrites statements and never uses it: only a test decides what is rewritten', () => {
    const users = sources.filter((file) => !isTest(file) && read(file).includes('rewriteStatement'));
    const hands = [
      'kit/database.ts',
      'kit/tenant-pool.ts',
      ...SUBGRAPHS.map((x) => `subgraphs/${x}/src/service.ts`),
    ];
    expect(users.sort()).toEqual(hands.sort());
    // Named in a signature, a type or an object: a value would follow a colon.
    const given = users.filter((file) => /rewriteStatement:\s*[^,;)]/.test(withoutComments(read(file))));
    expect(given).toEqual([]);
  });

  it('publishes to Redis from the relay and the control channel alone', () => {
    const publishers = sources.filter(
      (file) => !isTest(file) && /\.(publish|xadd)\(/.test(withoutComments(read(file))),
    );
    expect(publishers).toEqual([
      'kit/relay-streams.ts',
      'kit/relay.ts',
      'subgraphs/user/src/data/control.ts',
    ]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}
