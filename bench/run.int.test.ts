import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@taskflow/tests/kit/until';
import { expect, it, onTestFinished, vi } from 'vitest';

const RUN = join(import.meta.dirname, 'run.ts');
const QUICK = ['router', '--no-peers', '--operations', 'a'];
const FEW = ['--gateways', 'taskflow,bare'];
/** Seven processes start, and load the planner. */
const START_TIMEOUT_MS = 60_000;
vi.setConfig({ testTimeout: 2 * START_TIMEOUT_MS });

function bench(...args: string[]): { child: ChildProcess; output: { out: string; err: string } } {
  // A run that is killed leaves its files.
  const scratch = mkdtempSync(join(tmpdir(), 'taskflow-bench-test-'));
  const child = spawn(process.execPath, [RUN, ...args], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(scratch, { recursive: true, force: true });
  });
  const output = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.err += text;
  });
  return { child, output };
}

const gatewayPids = (text: string) => {
  const [, line] = /processes: (.*)/.exec(text) ?? [];
  return line?.match(/\d+/g)?.map(Number) ?? null;
};

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('finds equal answers at both gateways, tells the ratios and leaves no process behind', async () => {
  const { child, output } = bench(...QUICK, '--seconds', '0.1', '--rounds', '1', '--json');
  const [code] = await once(child, 'close');
  expect(output.err.concat(`exit code ${code}`)).toMatch(/exit code 0$/);
  const { router, list } = JSON.parse(output.out);
  expect(list).toBeUndefined();
  expect(router.leftOut).toEqual({ peers: 'not asked for' });
  expect(router.operations.map(({ name }: { name: string }) => name)).toEqual(['a']);
  for (const { figures, ratios } of router.operations) {
    expect(figures.map(({ name }: { name: string }) => name)).toEqual([
      ...['taskflow', 'taskflow+', 'plugged', 'stock', 'tuned', 'bare'],
    ]);
    expect(ratios.toStock).toBeGreaterThan(0);
  }
  expect(gatewayPids(output.err)?.filter(isAlive)).toEqual([]);
});

it.each(['SIGINT', 'SIGKILL'] as const)('ends every process it started when %s ends it', async (signal) => {
  const { child, output } = bench(...QUICK, ...FEW, '--seconds', '60');
  const pids = await until(
    'the gateways to be measured',
    () => (output.err.includes('operation (a)') ? gatewayPids(output.err) : null),
    START_TIMEOUT_MS,
  );
  expect(pids.filter(isAlive)).toHaveLength(3);
  const ended = once(child, 'exit');
  child.kill(signal);
  const [code] = await ended;
  expect(code).toBe(signal === 'SIGINT' ? 130 : null);
  await until('all of them to be gone', () => !pids.some(isAlive));
});

it('says what is wrong with an option and starts nothing', async () => {
  const { child, output } = bench('--rounds', '1.5');
  const [code] = await once(child, 'close');
  expect(code).toBe(1);
  expect(output).toEqual({ out: '', err: 'bench: --rounds takes a whole number\n' });
});
