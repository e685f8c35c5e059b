import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

test.each(['0001_plumbing', '0003_audit'])(
  'what %s makes in the four databases differs in its role names only',
  async (migration) => {
    const [first, ...others] = await Promise.all(
      ['user', 'org', 'task', 'notification'].map(async (name) => {
        const file = new URL(`../prisma/${name}/migrations/${migration}/migration.sql`, import.meta.url);
        return (await readFile(file, 'utf8')).replaceAll(`taskflow_${name}_`, 'taskflow_x_');
      }),
    );
    for (const other of others) expect(other).toBe(first);
  },
);
