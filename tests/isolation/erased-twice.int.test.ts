/** Each service forgets once, however often it is told: the fact delivered twice changes what once changes, and says so once. */
import { randomUUID } from 'node:crypto';
import { parseKeyRing } from '@taskflow/kit/config';
import { createSealer } from '@taskflow/kit/seal';
import { readNotificationConfig } from '@taskflow/notification/config';
import { createService as createNotification } from '@taskflow/notification/service';
import { readOrgConfig } from '@taskflow/org/config';
import { createService as createOrg } from '@taskflow/org/service';
import { bindingOfErasure, makeFact } from '@taskflow/schema/events';
import { readTaskConfig } from '@taskflow/task/config';
import { createService as createTask } from '@taskflow/task/service';
import pg from 'pg';
import { expect, it } from 'vitest';
import { aSubgraph, aViewer } from '../kit/subgraph.ts';

const SEAL_KEY = readNotificationConfig({}).MAIL_SEAL_KEY;
const ADDRESS = 'grace@acme.test';

const services = {
  org: (env: NodeJS.ProcessEnv, deps: Parameters<typeof createOrg>[1]) => createOrg(readOrgConfig(env), deps),
  task: (env: NodeJS.ProcessEnv, deps: Parameters<typeof createTask>[1]) =>
    createTask(readTaskConfig(env), deps),
  notification: (env: NodeJS.ProcessEnv, deps: Parameters<typeof createNotification>[1]) =>
    createNotification(readNotificationConfig(env), deps),
};

it.each(['org', 'task', 'notification'] as const)('%s', async (name) => {
  const service = await aSubgraph(name, services[name]);
  const { orgId } = aViewer();
  const userId: string = randomUUID();
  const common = { orgId, actor: { userId: null }, requestId: 'test', before: null };
  const sealed = createSealer(parseKeyRing(SEAL_KEY)).seal(ADDRESS, bindingOfErasure(userId));
  const erased = () =>
    makeFact({
      ...common,
      type: 'member.erased',
      aggregate: { id: userId, version: 2 },
      after: { id: userId, sealed },
    });
  const [first, second] = [erased(), erased()];
  await service.deliver(first, first, second, first);
  await service.settled(first, second);
  const behind = new pg.Client({ connectionString: service.database.adminUrl });
  await behind.connect();
  const { rows } = await behind
    .query('select envelope from outbox where type = $1', [`${name}-traces.erased`])
    .finally(() => behind.end());
  // Two facts, two rounds; the repetitions of one are nothing.
  expect(rows.map(({ envelope }) => envelope.after)).toEqual([{ userId }, { userId }]);
});
