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

test('forgetting a person is the same function in the four databases but for role names', async () => {
  const files = {
    user: '0011_erasure',
    org: '0006_erasure',
    task: '0005_erasure',
    notification: '0005_erasure',
  };
  const [first, ...others] = await Promise.all(
    Object.entries(files).map(async ([name, migration]) => {
      const file = new URL(`../prisma/${name}/migrations/${migration}/migration.sql`, import.meta.url);
      const text = await readFile(file, 'utf8');
      const [part = ''] =
        /create function forget_person[\s\S]*?create function without_person[\s\S]*?\$\$;/.exec(text) ?? [];
      return part.replaceAll(`taskflow_${name}_`, 'taskflow_x_');
    }),
  );
  expect(first?.length).toBeGreaterThan(1_000);
  for (const other of others) expect(other).toBe(first);
});
