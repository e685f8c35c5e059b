/** Somebody is erased while services die: whoever comes back goes on where the erasure stood. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Processes, startProcesses } from '@taskflow/dev/processes';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestClient } from '../kit/client.ts';
import { aMember, anOrg, aTask, PASSWORD } from '../kit/seed.ts';
import { until } from '../kit/until.ts';

let dir: string;
let processes: Processes;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'taskflow-erasure-'));
  processes = await startProcesses({ dir, ports: 'free', env: { LOG_LEVEL: 'warn' } });
}, 120_000);

afterAll(async () => {
  await processes?.stop();
  await rm(dir, { recursive: true, force: true });
});

it('an erasure outlives the death of every service that takes part in it', async () => {
  const ada = await anOrg(createTestClient(processes.routerUrl), 'Ada');
  const grace = await aMember(ada, 'MEMBER', 'Grace');
  const task = await aTask(ada, { assigneeId: grace.id });

  await processes.kill('task');
  await processes.kill('notification');
  const { userErase } = await ada.client.ask<{ userErase: { success: boolean } }>(
    'mutation E($input: UserEraseInput!) { userErase(input: $input) { success } }',
    { input: { userId: grace.id, password: PASSWORD } },
  );
  expect(userErase.success).toBe(true);
  await processes.kill('user');
  await processes.kill('redis');
  for (const part of ['redis', 'user', 'task', 'notification'] as const) await processes.restart(part);

  const system = new pg.Client({ connectionString: processes.env.USER_SYSTEM_DATABASE_URL ?? '' });
  await system.connect();
  try {
    await until(
      'the erasure to be complete',
      async () => {
        const { rows } = await system.query('select completed_at, sealed from erasures where user_id = $1', [
          grace.id,
        ]);
        return rows[0]?.completed_at && rows[0].sealed === null;
      },
      60_000,
    );
    const { rows } = await system.query('select 1 from outbox where strpos(envelope::text, $1) > 0', [
      grace.email,
    ]);
    expect(rows).toEqual([]);
  } finally {
    await system.end();
  }
  const { task: kept } = await until('the tasks to be there again', () =>
    ada.client.ask<{ task: object }>(
      'query Q($id: ID!) { task(id: $id) { assignee { id } creator { id } } }',
      { id: task.id },
    ),
  );
  expect(kept).toEqual({ assignee: null, creator: { id: ada.id } });
}, 180_000);
