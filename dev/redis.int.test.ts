import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@taskflow/kit/log';
import { expect, test, vi } from 'vitest';
import { startRedis } from './redis.ts';

const log = createLog({ process: 'test', level: 'silent' });
const ownDir = () => mkdtemp(join(tmpdir(), 'taskflow-redis-'));

const isGone = (pid: number) => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

test('two private Redis servers start at the same time on ports of their own', async () => {
  const [one, two] = await Promise.all([
    startRedis({ dir: await ownDir(), log }),
    startRedis({ dir: await ownDir(), log }),
  ]);
  expect(one.port).not.toBe(two.port);
  expect([one.port, two.port]).not.toContain(6379);
  await Promise.all([one.stop(), two.stop()]);
  expect([isGone(one.pid), isGone(two.pid)]).toEqual([true, true]);
});

test('a port that is taken is refused and the Redis on it is left alone', async () => {
  const first = await startRedis({ dir: await ownDir(), log });
  await expect(startRedis({ dir: await ownDir(), log, port: first.port })).rejects.toThrow(
    `Redis did not start on port ${first.port}`,
  );
  expect(isGone(first.pid)).toBe(false);
  await first.stop();
});

test('Redis ends with the process that started it, even when that is killed', async () => {
  const program = `
    const { startRedis } = await import(${JSON.stringify(import.meta.resolve('./redis.ts'))});
    const { createLog } = await import('@taskflow/kit/log');
    const redis = await startRedis({ dir: process.argv[1], log: createLog({ process: 'test', level: 'silent' }) });
    console.log(redis.pid);
    setInterval(() => {}, 1_000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program, await ownDir()], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [pid] = await once(owner.stdout, 'data');
  expect(isGone(Number(pid))).toBe(false);
  owner.kill('SIGKILL');
  await vi.waitUntil(() => isGone(Number(pid)), { timeout: 5_000, interval: 10 });
});
