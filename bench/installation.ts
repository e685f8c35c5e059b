/**
 * All of TaskFlow in this process, over a PostgreSQL and a Redis of its own that are gone afterwards: real sockets
 * between the parts, real tokens, signed contexts, row-level security, and a PostgreSQL that writes to disk.
 */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres } from '@taskflow/dev/postgres';
import { startRedis } from '@taskflow/dev/redis';
import type { Stops } from '@taskflow/dev/stops';
import { createLog } from '@taskflow/kit/log';
import { readNotificationConfig } from '@taskflow/notification/config';
import { createService as createNotification } from '@taskflow/notification/service';
import { readOrgConfig } from '@taskflow/org/config';
import { createService as createOrg } from '@taskflow/org/service';
import { type Subgraph, subgraphs } from '@taskflow/prisma/databases';
import { makeScratch } from '@taskflow/prisma/scratch';
import { readRouterConfig } from '@taskflow/router/config';
import { createRouter } from '@taskflow/router/server';
import { readTaskConfig } from '@taskflow/task/config';
import { createService as createTask } from '@taskflow/task/service';
import { readUserConfig } from '@taskflow/user/config';
import { createService as createUser } from '@taskflow/user/service';

export interface Installation {
  /** The router's GraphQL endpoint. */
  url: string;
  /** A subgraph's database as the administrator, whom row-level security does not hold. */
  adminUrlOf(subgraph: Subgraph): string;
  /** The task database as the role that serves requests. */
  taskUrl: string;
  /** What the task service sent to its database since the last call. */
  takeTaskStatements(): string[];
}

/** `variables` go over the defaults. */
export async function startInstallation(
  dir: string,
  stops: Stops,
  variables: NodeJS.ProcessEnv = {},
): Promise<Installation> {
  const log = createLog({ process: 'bench', level: 'silent' });
  await chmod(dir, 0o711); // the database server's own account passes through
  const postgres = await startPostgres({ dir: join(dir, 'postgres'), log });
  await stops.add('PostgreSQL', () => postgres.stop());
  const redis = await startRedis({ dir: join(dir, 'redis'), log });
  await stops.add('Redis', () => redis.stop());
  // Without the caller's variables: the addresses are of this run, everything else has its default.
  const databases = await makeScratch(postgres.adminUrl, {});
  stops.checkpoint();
  const env: NodeJS.ProcessEnv = {
    // Silent: standard output belongs to the result, and a failure ends the run with the answer that shows it.
    ...{ LOG_LEVEL: 'silent', REDIS_URL: redis.url, ROUTER_PORT: '0' },
    // One person sends more here than any person does.
    ...{ ROUTER_VIEWER_REQUESTS_PER_S: '0', ROUTER_VIEWER_POINTS_PER_S: '0' },
    ROUTER_ORGANIZATION_POINTS_PER_S: '0',
    // And one organisation more than the smallest plan allows.
    ...{ ORG_PLAN_FREE_TASKS_MAX: '0', ORG_PLAN_FREE_API_CALLS_MAX: '0' },
    ...variables,
  };
  for (const subgraph of subgraphs) {
    const prefix = subgraph.toUpperCase();
    env[`${prefix}_PORT`] = '0';
    env[`${prefix}_DATABASE_URL`] = databases.urlOf(subgraph, 'app');
    env[`${prefix}_SYSTEM_DATABASE_URL`] = databases.urlOf(subgraph, 'system');
  }
  let statements: string[] = [];
  const routerUrl = await startServices(env, stops, (text) => void statements.push(text));
  return {
    url: `${routerUrl}/graphql`,
    adminUrlOf(subgraph) {
      const url = new URL(postgres.adminUrl);
      url.pathname = `/${databases.nameOf(subgraph)}`;
      return url.href;
    },
    taskUrl: databases.urlOf('task', 'app'),
    takeTaskStatements() {
      const taken = statements;
      statements = [];
      return taken;
    },
  };
}

async function startServices(
  env: NodeJS.ProcessEnv,
  stops: Stops,
  onTaskStatement: (text: string) => void,
): Promise<string> {
  const services = {
    user: createUser(readUserConfig(env)),
    org: createOrg(readOrgConfig(env)),
    task: createTask(readTaskConfig(env), { observe: { onStatement: onTaskStatement } }),
    notification: createNotification(readNotificationConfig(env)),
  };
  for (const [name, service] of Object.entries(services)) {
    await stops.add(name, () => service.stop());
    await service.start();
    env[`ROUTER_${name.toUpperCase()}_URL`] = `${service.url}/graphql`;
  }
  stops.checkpoint();
  env.ROUTER_JWKS_URL = `${services.user.url}/.well-known/jwks.json`;
  const router = createRouter(readRouterConfig(env));
  await stops.add('router', () => router.stop());
  await router.start();
  return router.url;
}
