import { randomUUID } from 'node:crypto';
import type { FactOf } from '@taskflow/schema/events';
import { dataExportRequested, gatheredBy } from '@taskflow/tests/kit/facts';
import { beforeAll, describe, expect, test } from 'vitest';
import { anOrganization, aTask, aTaskService, DELETE, type TestTaskService } from './fixture.ts';

let service: TestTaskService;
beforeAll(async () => {
  service = await aTaskService();
});

/** About the person who asked; a marker asks about somebody else. */
const answersTo = async ({ aggregate, after }: FactOf<'data-export.requested'>) =>
  (
    await service.rows<{ envelope: FactOf<'task-data.gathered'> }>(
      `select envelope from outbox where type = 'task-data.gathered' and aggregate_id = $1
         and envelope #>> '{after,userId}' = $2 order by id`,
      [aggregate.id, after.userId],
    )
  ).map(({ envelope }) => envelope);

describe('asked for the data of a person, task', () => {
  test('answers with the tasks that they made or have, deleted ones too, and with nothing of others', async () => {
    const { admin } = anOrganization(service);
    const { admin: bob } = anOrganization(service);
    const made = await aTask(admin, { title: 'Made', description: 'With words', tags: ['release'] });
    const deleted = await aTask(admin, { title: 'Deleted' });
    await admin.ask(DELETE, { input: { id: deleted.id } });
    await aTask(bob, { title: 'Of another organisation' });
    const request = dataExportRequested(admin.viewer);
    await service.deliver(request);
    const data = gatheredBy(request, await answersTo(request));
    expect(data).toMatchObject({
      tasksCreated: [
        { id: deleted.id, deletedAt: expect.any(String) },
        { id: made.id, title: 'Made', description: 'With words', tags: ['release'], deletedAt: null },
      ],
      auditLog: [{ action: 'task.deleted' }, { action: 'task.created' }, { action: 'task.created' }],
    });
    expect(JSON.stringify(data)).not.toContain('Of another organisation');
  });

  test('answers once, however often it is asked, in pieces that a fact carries', async () => {
    const { admin } = anOrganization(service);
    const description = '😀'.repeat(5_000);
    for (let n = 0; n < 8; n++) await aTask(admin, { title: `Large ${n}`, description });
    const request = dataExportRequested(admin.viewer);
    const marker = dataExportRequested(
      { ...admin.viewer, userId: randomUUID() },
      { exportId: request.aggregate.id },
    );
    await service.deliver(request, request);
    await service.deliver(request, marker);
    const answers = await answersTo(request);
    expect(answers.length).toBeGreaterThan(1);
    for (const { after } of answers) expect(Buffer.byteLength(after.content)).toBeLessThanOrEqual(200_000);
    const { tasksCreated } = gatheredBy(request, answers);
    expect(tasksCreated?.map((task) => task.description)).toEqual(Array(8).fill(description));
  });

  test('answers with 5,000 tasks and 4 million characters of a list at most, whatever there is', async () => {
    const { admin } = anOrganization(service);
    const { orgId, userId } = admin.viewer;
    const fill = (from: number, to: number, length: number) =>
      service.rows(
        `insert into tasks (org_id, id, number, key, title, description, creator_id)
           select $1::uuid, gen_random_uuid(), n, 'TASK-' || n, 'Many', repeat('x', $5::int), $2::uuid
             from generate_series($3::int, $4::int) n`,
        [orgId, userId, from, to, length],
      );
    const gather = async () => {
      const request = dataExportRequested(admin.viewer);
      await service.deliver(request);
      return gatheredBy(request, await answersTo(request)).tasksCreated ?? [];
    };
    await fill(1, 5_001, 0);
    expect(await gather()).toHaveLength(5_000);
    await fill(5_002, 5_400, 20_000);
    const tasks = await gather();
    expect(tasks.length).toBeLessThan(5_000);
    expect(JSON.stringify(tasks).length).toBeLessThanOrEqual(4_000_000);
  });
});
