import { describe, expect, it } from 'vitest';
import { CONTEXT_TTL_MAX_MS } from './identity.ts';
import { createReplays } from './replays.ts';

describe('a nonce', () => {
  it('is the first once, and others do not matter to it', () => {
    const replays = createReplays();
    expect(['a', 'b', 'a', 'c', 'b'].map(replays.isFirst)).toEqual([true, true, false, true, false]);
  });

  it('is remembered for as long as a context can live, whenever it came within a generation', () => {
    for (const cameAt of [0, 1, CONTEXT_TTL_MAX_MS - 1, CONTEXT_TTL_MAX_MS, 1.5 * CONTEXT_TTL_MAX_MS]) {
      let now = 0;
      const replays = createReplays(() => now);
      now = cameAt;
      replays.isFirst('a');
      for (let step = 0; step < 10; step++) {
        now += (CONTEXT_TTL_MAX_MS - 1) / 10;
        replays.isFirst(`other-${step}`);
        expect([cameAt, step, replays.isFirst('a')]).toEqual([cameAt, step, false]);
      }
    }
  });

  it('is forgotten afterwards', () => {
    let now = 0;
    const replays = createReplays(() => now);
    replays.isFirst('a');
    now = 2 * CONTEXT_TTL_MAX_MS;
    expect(replays.isFirst('a')).toBe(true);
  });
});
