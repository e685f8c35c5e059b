/** All five processes in one: the same services on the same ports; the router's signed calls skip HTTP. */

import { readNotificationConfig } from '@taskflow/notification/config';
import { createService as createNotification } from '@taskflow/notification/service';
import { readOrgConfig } from '@taskflow/org/config';
import { createService as createOrg } from '@taskflow/org/service';
import { readRouterConfig } from '@taskflow/router/config';
import { createRouter } from '@taskflow/router/server';
import { readTaskConfig } from '@taskflow/task/config';
import { createService as createTask } from '@taskflow/task/service';
import { readUserConfig } from '@taskflow/user/config';
import { createService as createUser } from '@taskflow/user/service';
import { DEMO_PASSWORD, DEMO_PEOPLE } from './seed.ts';
import type { Stops } from './stops.ts';

/** For the page that greets a visitor. */
const demo = { password: DEMO_PASSWORD, people: Object.values(DEMO_PEOPLE) };

/** Starts the four subgraphs side by side, then the router. Returns the router's address. */
export async function startSupergraph(
  env: NodeJS.ProcessEnv,
  stops: Stops,
  mailboxUrl?: string | null,
): Promise<string> {
  const subgraphs = {
    user: createUser(readUserConfig(env)),
    org: createOrg(readOrgConfig(env)),
    task: createTask(readTaskConfig(env)),
    notification: createNotification(readNotificationConfig(env)),
  };
  const starts = Object.entries(subgraphs).map(async ([name, service]) => {
    await stops.add(name, () => service.stop());
    await service.start();
  });
  // All of them, so that none is still starting when a failure of another begins to stop the rest.
  for (const result of await Promise.allSettled(starts))
    if (result.status === 'rejected') throw result.reason;
  stops.checkpoint();
  const router = createRouter(readRouterConfig(env), {
    demo: { ...demo, mailboxUrl: mailboxUrl ?? undefined },
    localSubgraphs: new Map(Object.entries(subgraphs)),
  });
  await stops.add('router', () => router.stop());
  await router.start();
  return router.url;
}
