import { hash, verify as verifyHash } from '@node-rs/argon2';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createPasswords } from './passwords.ts';

// The real library, with its calls counted.
vi.mock('@node-rs/argon2', { spy: true });

const passwords = createPasswords({ memoryCost: 1_024, timeCost: 2, parallelism: 1 });
const RIGHT = 'correct horse battery';
/** The memory that each verification filled, in KiB times passes. */
const work = () =>
  vi.mocked(verifyHash).mock.calls.map(([text]) => {
    const [, m, t] = /m=(\d+),t=(\d+)/.exec(String(text)) ?? [];
    return Number(m) * Number(t);
  });
const total = () => work().reduce((sum, part) => sum + part, 0);
beforeEach(() => void vi.mocked(verifyHash).mockClear());

describe('a hash of other parameters than those of today', () => {
  it.each([
    ['cheaper in memory', { memoryCost: 256, timeCost: 2, parallelism: 1 }, true],
    ['cheaper in passes', { memoryCost: 1_024, timeCost: 1, parallelism: 1 }, true],
    ['of more lanes', { memoryCost: 1_024, timeCost: 2, parallelism: 2 }, true],
    ['of the same', { memoryCost: 1_024, timeCost: 2, parallelism: 1 }, false],
  ])('(%s) is told apart, still opens, and refuses after the same work', async (_, cost, isStale) => {
    const old = await hash(RIGHT, cost);
    expect(passwords.isStale(old)).toBe(isStale);
    expect(await passwords.verify(old, RIGHT)).toBe(true);
    vi.mocked(verifyHash).mockClear();
    expect(await passwords.verify(old, 'wrong')).toBe(false);
    expect(total()).toBe(2 * 1_024);
    vi.mocked(verifyHash).mockClear();
    expect(await passwords.verify(null, 'wrong')).toBe(false);
    expect(total()).toBe(2 * 1_024);
  });

  it('is stale, and no error, where it is not argon2id at all', async () => {
    expect(passwords.isStale('$argon2i$v=19$m=1024,t=2,p=1$AAAA$AAAA')).toBe(true);
  });
});

it('a password without an account is never right', async () => {
  expect(await passwords.verify(null, RIGHT)).toBe(false);
});

it('a password is the same however its accents are composed', async () => {
  expect(await passwords.verify(await passwords.hash('caf\u00e9 au lait'), 'cafe\u0301 au lait')).toBe(true);
});
