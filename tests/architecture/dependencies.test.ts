import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where a package is installed below `folder`, however deep, without following links between workspaces. */
function copiesOf(name: string, folder: string): string[] {
  const modules = join(folder, 'node_modules');
  if (!existsSync(modules)) return [];
  const own = existsSync(join(modules, name, 'package.json')) ? [join(modules, name)] : [];
  return [...own, ...packagesIn(modules).flatMap((inner) => copiesOf(name, inner))];
}

function packagesIn(modules: string): string[] {
  const folders = (parent: string) =>
    readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders(modules).flatMap(({ name }) =>
    name.startsWith('@')
      ? folders(join(modules, name)).map((scoped) => join(modules, name, scoped.name))
      : name.startsWith('.')
        ? []
        : [join(modules, name)],
  );
}

const workspaces = ['.', 'schema', 'prisma', 'kit', 'router', 'dev', 'tests', 'bench'].concat(
  readdirSync(join(root, 'subgraphs')).map((name) => join('subgraphs', name)),
);

describe('there is exactly one copy of', () => {
  // Two copies of graphql refuse each other's schemas; two of federation-internals do not recognise each other's
  // types, and one of them may be older than the fix of an advisory.
  test.each(['graphql', '@apollo/federation-internals'])('%s in the installed tree', (name) => {
    const copies = workspaces.flatMap((folder) => copiesOf(name, join(root, folder)));
    expect(copies.map((copy) => relative(root, copy))).toEqual([join('node_modules', name)]);
  });
});
