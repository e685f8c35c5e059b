import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { findMembers, isAlive } from './process-table.ts';

it('tells the living from those who ended and were not collected', async () => {
  // The shell never collects its child, which ends at once and stays a zombie.
  const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = await once(shell.stdout, 'data');
  await expect.poll(() => isAlive(Number(String(line)))).toBe(false);
  expect(isAlive(shell.pid ?? 0)).toBe(true);
  shell.kill('SIGKILL');
  await once(shell, 'exit');
  expect(isAlive(shell.pid ?? 0)).toBe(false);
});

it('finds every process of a session', async () => {
  const shell = spawn('sh', ['-c', 'sleep 60 & wait'], { stdio: 'ignore', detached: true });
  await expect.poll(() => findMembers(shell.pid ?? 0)).toHaveLength(2);
  process.kill(-(shell.pid ?? 0), 'SIGKILL');
  await expect.poll(() => findMembers(shell.pid ?? 0)).toEqual([]);
});
