import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@taskflow/kit/log';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROLE_NAMES } from './databases.ts';
import { openInstallation } from './installation.ts';
import { findPostgresIn } from './postgres.ts';
import { findRedisIn } from './redis.ts';
import { keepSecrets } from './secrets.ts';
import { createStops } from './stops.ts';

const log = createLog({ process: 'test', level: 'silent' });
const dir = mkdtempSync(join(tmpdir(), 'taskflow-operator-'));
const stops = createStops(() => {});

/** Nothing of this machine's own settings: no `.env`, no variables. */
function operator(...args: string[]): Promise<{ code: number; out: string; told: string }> {
  return operatorOf(dir, ...args);
}

function operatorOf(folder: string, ...args: string[]) {
  const env = { PATH: process.env.PATH, TASKFLOW_DIR: folder, USER_SIGNING_KEY_ANNOUNCE_MS: '200' };
  const script = new URL('./operator.ts', import.meta.url).pathname;
  return new Promise<{ code: number; out: string; told: string }>((resolve) => {
    execFile(process.execPath, [script, ...args], { env, timeout: 60_000 }, (error, out, told) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, out, told }),
    );
  });
}

beforeAll(() => {
  keepSecrets(dir, [...ROLE_NAMES, 'USER_SIGNING_KEY_SECRET']);
});
afterAll(async () => {
  await stops.run();
  rmSync(dir, { recursive: true, force: true });
});

describe('the command line of the operator', () => {
  it.each([[], ['help'], ['--help']])('lists every command with one line each: %s', async (...args) => {
    const { code, out } = await operator(...args);
    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}keys list +Shows the keys/m);
    expect(out).toMatch(/^ {2}keys rotate +Publishes a new key/m);
  });

  it.each([['frob'], ['keys'], ['keysrotate'], ['keys', 'rotated']])(
    'does not know "%s %s"',
    async (...args) => {
      expect(await operator(...args)).toMatchObject({ code: 2, out: '' });
    },
  );

  it('says how a command is used that got arguments it does not take', async () => {
    const { code, told } = await operator('keys', 'rotate', '--now');
    expect(code).toBe(2);
    expect(told).toContain('usage: npm run operator -- keys rotate [--wait]');
  });

  it('says so where there is no installation, and makes none', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'taskflow-operator-'));
    const { code, told } = await operatorOf(join(empty, 'none'), 'keys', 'list');
    expect(code).toBe(1);
    expect(told).toContain('there is no installation');
    rmSync(empty, { recursive: true });
  });
});

describe('an installation', () => {
  it('that is at rest is started for the command, and rests again after it', async () => {
    const { code, out } = await operator('keys', 'list');
    expect([code, out]).toEqual([0, 'no key so far: the first start of the user service makes one\n']);
    expect(findPostgresIn(join(dir, 'postgres'))).toBeNull();
    expect(await findRedisIn(join(dir, 'redis-data'))).toBeNull();
  });

  it('has its audit log verified in all four subgraphs, or in the one that is named', async () => {
    const all = await operator('audit', 'verify');
    expect([all.code, all.told]).toEqual([0, '']);
    expect(all.out.match(/^\w+: 0 organisations, 0 entries, 0 damaged chains$/gm)).toHaveLength(4);
    const one = await operator('audit', 'verify', '--subgraph', 'org');
    expect(one.out).toBe('org: 0 organisations, 0 entries, 0 damaged chains\n');
    const { code, told } = await operator('audit', 'export', '--subgraph', 'org');
    expect(code).toBe(2);
    expect(told).toContain('--organization takes an id');
  }, 120_000);

  it('that runs is met where it runs, and goes on', async () => {
    const env = await openInstallation({ dir, env: { LOG_LEVEL: 'silent' }, stops, log });
    const before = findPostgresIn(join(dir, 'postgres'));
    expect(before).not.toBeNull();
    expect(await findRedisIn(join(dir, 'redis-data'))).toBe(env.REDIS_URL);
    const { code, out } = await operator('keys', 'rotate', '--wait');
    expect([code, out.split('\n').length]).toEqual([0, 3]);
    expect((await operator('keys', 'list')).out).toMatch(/ACTIVE {3}signs since/);
    expect(findPostgresIn(join(dir, 'postgres'))).toBe(before);
    expect(await findRedisIn(join(dir, 'redis-data'))).toBe(env.REDIS_URL);
  });
});
