import { describe, expect, it } from 'vitest';
import { createHealth } from './health.ts';
import { createLog } from './log.ts';

const lines: string[] = [];
const log = createLog({ process: 'test', destination: { write: (line) => lines.push(line) } });
const up = async () => {};
const down = async () => {
  throw new Error('connect ECONNREFUSED 10.0.0.1:5432');
};
const never = () => new Promise<void>(() => {});

describe('health', () => {
  it('is healthy, degraded or unhealthy by what is down', async () => {
    const statusOf = async (postgres: () => Promise<void>, redis: () => Promise<void>) =>
      (await createHealth({ postgres, redis: { ask: redis, essential: false } }, log).report()).status;
    expect(await statusOf(up, up)).toBe('healthy');
    expect(await statusOf(up, down)).toBe('degraded');
    expect(await statusOf(down, up)).toBe('unhealthy');
  });

  it('asks all parts in parallel', async () => {
    const bothAsked = Promise.withResolvers<void>();
    let asked = 0;
    const meet = () => {
      asked++;
      if (asked === 2) bothAsked.resolve();
      return bothAsked.promise;
    };
    expect((await createHealth({ one: meet, two: meet }, log).report()).status).toBe('healthy');
  });

  it('calls a part that hangs down at its deadline', async () => {
    const { parts } = await createHealth({ hanging: never, working: up }, log, 20).report();
    expect(Object.values(parts).map((part) => part.status)).toEqual(['down', 'up']);
    expect(parts.hanging?.latencyMs).toBeGreaterThanOrEqual(19);
  });

  it('says which essential part keeps it from being ready, and nothing about where it is', async () => {
    const health = createHealth({ postgres: down, redis: { ask: down, essential: false } }, log);
    expect(await health.readiness('serving')).toEqual({ ready: false, reasons: ['postgres'] });
    expect(JSON.stringify(await health.report())).not.toContain('10.0.0.1');
  });

  it('is not ready while starting and from the moment shutdown begins', async () => {
    const health = createHealth({ postgres: up }, log);
    expect(await health.readiness('starting')).toEqual({ ready: false, reasons: ['starting'] });
    expect(await health.readiness('serving')).toEqual({ ready: true, reasons: [] });
    expect(await health.readiness('stopping')).toEqual({ ready: false, reasons: ['stopping'] });
  });

  it('shares one round among readers who ask at the same time', async () => {
    let asked = 0;
    const health = createHealth({ postgres: async () => void asked++ }, log);
    await Promise.all([health.report(), health.report(), health.readiness('serving')]);
    expect(asked).toBe(1);
  });

  it('logs a part that goes down once, and once when it is back', async () => {
    let ask: () => Promise<void> = down;
    const health = createHealth({ redis: () => ask() }, log);
    lines.length = 0;
    await health.report();
    await health.report();
    ask = up;
    await health.report();
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['a part is down', 'a part is up again']);
  });
});
