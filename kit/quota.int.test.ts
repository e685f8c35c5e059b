import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { aDatabase } from './postgres.fixture.ts';
import { type Allowance, type Quotas, quotaIn } from './quota.ts';
import { type TenantPool, transaction, withTenant } from './tenant-pool.ts';

const THINGS = { things: 'boats', advice: 'Sell one.' };

let app: TenantPool;
let orgId: string;

beforeAll(async () => {
  app = (await aDatabase()).app({ max: 20 });
});
beforeEach(() => {
  orgId = randomUUID();
});

const inside = <T>(work: (quota: Quotas) => Promise<T>, of = orgId): Promise<T> =>
  withTenant({ orgId: of }, () => transaction(app, (sql) => work(quotaIn(sql, of))));
const take = (of = orgId) => inside((quota) => quota.take(THINGS), of);
const read = () => inside((quota) => quota.read());
const allow = (limit: number | null, more: Partial<Allowance> = {}) =>
  inside((quota) =>
    quota.note({
      ...{ plan: 'LARGE', limit, otherwise: 1, startsAt: '2026-01-01T00:00:00.000Z', endsAt: null },
      ...{ version: 1, ...more },
    }),
  );

test('of two hundred who take at once where a hundred are left, a hundred get one', async () => {
  await allow(100);
  const taken = await Promise.allSettled(Array.from({ length: 200 }, () => take()));
  expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
  for (const outcome of taken)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'QUOTA_EXCEEDED' });
  expect(await read()).toEqual({ used: 100, limit: 100, plan: 'LARGE' });
});

test('those who take and release at once end with what they hold', async () => {
  await allow(50);
  await Promise.all(Array.from({ length: 30 }, () => take()));
  await Promise.all([
    ...Array.from({ length: 15 }, () => take()),
    ...Array.from({ length: 20 }, () => inside((quota) => quota.release())),
  ]);
  expect((await read()).used).toBe(25);
});

test('what is rolled back was never taken', async () => {
  await allow(1);
  const fails = inside(async (quota) => {
    await quota.take(THINGS);
    throw new Error('something else went wrong');
  });
  await expect(fails).rejects.toThrow('something else');
  await take();
  await expect(take()).rejects.toThrow(
    'The plan LARGE allows 1 boats, and the organisation has 1. Sell one.',
  );
});

test('nothing is refused before an allowance was told, and all of it is counted', async () => {
  for (let n = 0; n < 3; n++) await take();
  expect(await read()).toEqual({ used: 3, limit: null, plan: null });
  expect(await allow(2)).toBe(true);
  await expect(take()).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  expect((await read()).used).toBe(3);
});

test.each([
  ['before its window', { startsAt: '2100-01-01T00:00:00.000Z' }],
  ['after its window', { endsAt: '2026-01-02T00:00:00.000Z' }],
])('%s the other number is allowed', async (_, window) => {
  await allow(null, window);
  expect(await read()).toEqual({ used: 0, limit: 1, plan: null });
  await take();
  await expect(take()).rejects.toThrow('Without a contract the plan allows 1 boats');
});

test('an older allowance changes nothing, and neither does the same one again', async () => {
  expect(await allow(5, { version: 3 })).toBe(true);
  expect(await allow(9, { version: 3 })).toBe(false);
  expect(await allow(9, { version: 2 })).toBe(false);
  expect((await read()).limit).toBe(5);
  expect(await allow(9, { version: 4 })).toBe(true);
});

test('a tenant has a counter of its own, and none of another’s', async () => {
  await allow(1);
  await take();
  await take(randomUUID());
  const stranger = randomUUID();
  const foreign = withTenant({ orgId: stranger }, () =>
    transaction(app, (sql) => quotaIn(sql, orgId).read()),
  );
  expect(await foreign).toEqual({ used: 0, limit: null, plan: null });
});

test('is compared with a count that nobody disturbs, and set right', async () => {
  await take();
  const compare = (isRepair: boolean) => inside((quota) => quota.compare(async () => 7, { isRepair }));
  expect(await compare(false)).toEqual({ used: 1, counted: 7 });
  expect(await compare(true)).toEqual({ used: 1, counted: 7 });
  expect(await compare(false)).toEqual({ used: 7, counted: 7 });
});
