import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { facts } from './events/index.ts';

test('the table of facts in README.md is the list of facts', () => {
  const readme = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
  const rows = [...readme.matchAll(/^\| `([a-z-]+\.[a-z-]+)` \| (\w+) \| ([^|]*) \|/gm)];
  expect(rows.map(([, type, source, consumers]) => ({ type, source, consumers: consumers?.trim() }))).toEqual(
    Object.entries(facts).map(([type, { source, consumers }]) => ({
      type,
      source,
      consumers: consumers.join(', ') || 'own feed',
    })),
  );
});
