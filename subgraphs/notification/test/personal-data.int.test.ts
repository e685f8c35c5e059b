import { randomUUID } from 'node:crypto';
import { type FactOf, makeFact } from '@taskflow/schema/events';
import { dataExportRequested, gatheredBy, taskAssigned } from '@taskflow/tests/kit/facts';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readNotificationConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

let notification: TestSubgraph;
let behind: pg.Client;

beforeAll(async () => {
  notification = await aSubgraph('notification', (env, deps) =>
    createService(readNotificationConfig(env), deps),
  );
  behind = new pg.Client({ connectionString: notification.database.adminUrl });
  behind.on('error', () => {}); // the database is dropped beneath it when the file is done
  await behind.connect();
});
afterAll(() => behind.end());

async function arrive(...facts: Parameters<TestSubgraph['deliver']>) {
  await notification.deliver(...facts);
  await notification.settled(...facts);
}

const mail = (orgId: string, to: string) =>
  makeFact({
    ...{ type: 'mail.requested', orgId, aggregate: { id: randomUUID(), version: 1 } },
    ...{ actor: { userId: null }, requestId: 'test', before: null },
    after: {
      ...{ to, template: 'INVITE', locale: null, sealed: 'a sealed token' },
      values: { organizationName: `Acme of ${to}` },
    },
  });

/** About the person who asked; a marker asks about somebody else. */
const answersTo = async ({ aggregate, after }: FactOf<'data-export.requested'>) =>
  (
    await behind.query(
      `select envelope from outbox where type = 'notification-data.gathered' and aggregate_id = $1
         and envelope #>> '{after,userId}' = $2 order by id`,
      [aggregate.id, after.userId],
    )
  ).rows.map(({ envelope }) => envelope);

describe('asked for the data of a person, notification', () => {
  it('answers with their inbox and the mails to their address, without tokens, and with nothing of others', async () => {
    const ada = aViewer('MEMBER');
    const { orgId, userId: assigneeId } = ada;
    const request = dataExportRequested(ada);
    await arrive(
      taskAssigned({ orgId, assigneeId, title: 'Draw the board' }),
      taskAssigned({ orgId, assigneeId: randomUUID(), title: 'Not hers' }),
      taskAssigned({ orgId: randomUUID(), assigneeId, title: 'Elsewhere' }),
      mail(orgId, 'ada@acme.test'),
      mail(orgId, 'grace@acme.test'),
      mail(randomUUID(), 'ada@acme.test'),
    );
    await arrive(request);
    const data = gatheredBy(request, await answersTo(request));
    expect(data).toMatchObject({
      notifications: [{ title: expect.stringContaining('Draw the board') }],
      notificationCounts: [{ unread: 1, unseen: 1 }],
      mails: [{ template: 'INVITE', values: { organizationName: 'Acme of ada@acme.test' } }],
      auditLog: [],
    });
    expect(data.notifications).toHaveLength(1);
    expect(data.mails).toHaveLength(1);
    expect(JSON.stringify(data)).not.toMatch(/sealed|grace/);
  });

  it('answers once, however often it is asked, and about a stranger with empty lists', async () => {
    const ada = aViewer('MEMBER');
    const request = dataExportRequested(ada, { email: 'nobody@acme.test' });
    const marker = dataExportRequested(aViewer('MEMBER', ada.orgId), { exportId: request.aggregate.id });
    await arrive(request, request);
    await arrive(request, marker);
    const answers = await answersTo(request);
    expect(answers).toHaveLength(1);
    expect(Object.values(gatheredBy(request, answers)).flat()).toEqual([]);
  });
});
