import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { type KeyedCall, once } from './idempotency.ts';
import { aDatabase } from './postgres.fixture.ts';
import { type TenantPool, transaction, withTenant } from './tenant-pool.ts';

let app: TenantPool;
let call: KeyedCall;
let runs: number;

beforeAll(async () => {
  app = (await aDatabase()).app();
});
beforeEach(() => {
  runs = 0;
  call = {
    viewer: { orgId: randomUUID(), userId: randomUUID() },
    key: randomUUID(),
    field: 'createTask',
    request: { title: 'Ship', tags: ['a', 'b'], due: { at: '2026-01-01', zone: 'UTC' } },
  };
});

const run = async () => {
  runs += 1;
  return { ids: [`task-${runs}`], title: 'Ship' };
};
const attempt = (given: Partial<KeyedCall> = {}, work: typeof run = run) => {
  const keyed = { ...call, ...given };
  return withTenant(keyed.viewer, () => transaction(app, (sql) => once(sql, keyed, work)));
};

test('a key that comes again answers the ids of the first time, and nothing is done', async () => {
  expect(await attempt()).toEqual({ ids: ['task-1'], title: 'Ship', replayed: false });
  expect(await attempt()).toEqual({ ids: ['task-1'], replayed: true });
  expect(runs).toBe(1);
});

test('the same request in another order of its fields is the same request', async () => {
  await attempt();
  const request = {
    due: { zone: 'UTC', at: '2026-01-01' },
    tags: ['a', 'b'],
    title: 'Ship',
    note: undefined,
  };
  expect((await attempt({ request })).replayed).toBe(true);
});

test('a key used for another request or another field is refused', async () => {
  await attempt();
  for (const other of [
    { request: { title: 'Ship', tags: ['b', 'a'], due: { at: '2026-01-01', zone: 'UTC' } } },
    { request: {} },
    { request: null },
    { field: 'updateTask' },
  ]) {
    await expect(attempt(other)).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  }
  expect(runs).toBe(1);
});

test('keys belong to one user of one organisation', async () => {
  await attempt();
  const { orgId } = call.viewer;
  expect((await attempt({ viewer: { orgId, userId: randomUUID() } })).replayed).toBe(false);
  expect((await attempt({ viewer: { ...call.viewer, orgId: randomUUID() } })).replayed).toBe(false);
});

test('of ten at the same time one runs, and the others answer what it did', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => attempt()));
  expect(runs).toBe(1);
  expect(answers.filter(({ replayed }) => !replayed).length).toBe(1);
  expect(new Set(answers.map(({ ids }) => ids[0]))).toEqual(new Set(['task-1']));
});

test('a run that fails gives its key back', async () => {
  const failing = attempt({}, async () => {
    throw new Error('no such project');
  });
  await expect(failing).rejects.toThrow('no such project');
  expect((await attempt()).replayed).toBe(false);
});

test('the one who waits runs when the one it waited for fails', async () => {
  let fail = () => {};
  const failure = new Promise<never>((_, reject) => {
    fail = () => reject(new Error('changed our mind'));
  });
  let isRunning = () => {};
  const running = new Promise<void>((resolve) => {
    isRunning = resolve;
  });
  const first = attempt({}, () => {
    isRunning();
    return failure;
  });
  await running;
  const second = attempt();
  fail();
  await expect(first).rejects.toThrow('changed our mind');
  expect((await second).replayed).toBe(false);
});

test('without a key a mutation simply runs', async () => {
  await attempt({ key: undefined });
  expect((await attempt({ key: undefined })).replayed).toBe(false);
  expect(runs).toBe(2);
});

test('a key is 1 to 200 characters', async () => {
  for (const key of ['', 'x'.repeat(201)]) {
    await expect(attempt({ key })).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  }
  expect((await attempt({ key: 'x'.repeat(200) })).replayed).toBe(false);
});
