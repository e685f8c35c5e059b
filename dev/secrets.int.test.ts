import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isKey, keepSecrets, valueOfKey } from './secrets.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'taskflow-secrets-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const file = () => join(dir, 'secrets.json');

it('keeps a secret from one start to the next, and makes only those that are new', () => {
  const first = keepSecrets(dir, ['A']);
  const second = keepSecrets(dir, ['A', 'B']);
  expect(second).toMatchObject(first);
  expect(second.B).toMatch(/^[\w-]{43}$/);
  expect(second.B).not.toBe(second.A);
  expect(keepSecrets(dir, ['A', 'B'])).toEqual(second);
});

it('lets nobody but the owner read the file', () => {
  keepSecrets(dir, ['A']);
  keepSecrets(dir, ['A', 'B']);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
});

it('never replaces a file that it cannot read', () => {
  writeFileSync(file(), '{ "A": ');
  expect(() => keepSecrets(dir, ['A'])).toThrow('not valid JSON');
  expect(readFileSync(file(), 'utf8')).toBe('{ "A": ');
});

it('writes a key ring with a key id, a plain secret without, and no address at all', () => {
  const ring = {
    name: 'TASK_CONTEXT_KEY',
    description: '',
    default: 'dev:x',
    secret: true,
    requiredInProduction: true,
  };
  expect(valueOfKey(ring, 's')).toBe('local:s');
  expect(valueOfKey({ ...ring, default: 'x' }, 's')).toBe('s');
  expect(isKey({ ...ring, name: 'TASK_DATABASE_URL' })).toBe(false);
});
