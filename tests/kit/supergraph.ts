/**
 * The whole supergraph in the test's own process: real databases, real Redis, real sockets, with counters at the two
 * places where batching is promised: calls to subgraphs and SQL statements.
 */
import { readNotificationConfig } from '@taskflow/notification/config';
import { createService as createNotification } from '@taskflow/notification/service';
import { readOrgConfig } from '@taskflow/org/config';
import { createService as createOrg } from '@taskflow/org/service';
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import { readRouterConfig } from '@taskflow/router/config';
import { createRouter, type Router } from '@taskflow/router/server';
import { readTaskConfig } from '@taskflow/task/config';
import { createService as createTask } from '@taskflow/task/service';
import { readUserConfig } from '@taskflow/user/config';
import { createService as createUser } from '@taskflow/user/service';
import { afterAll } from 'vitest';
import { createTestClient, type TestClient } from './client.ts';
import { RATES_OFF } from './limits.ts';
import type { TestMailbox } from './mailbox.ts';
import { aDatabase, type TestDatabase } from './postgres.ts';
import { aRedis } from './redis.ts';

export interface Counts {
  /** Calls to each subgraph since `reset`, by the text of their operation. */
  calls: Record<Subgraph, string[]>;
  /** Statements that served requests in each subgraph since `reset`, transaction control included. */
  statements: Record<Subgraph, string[]>;
  reset(): void;
}

export interface TestSupergraph {
  /** The router's GraphQL endpoint. */
  url: string;
  /** Each subgraph's own GraphQL endpoint. */
  subgraphUrls: Record<Subgraph, string>;
  databases: Record<Subgraph, TestDatabase>;
  counts: Counts;
  client: TestClient;
  env: NodeJS.ProcessEnv;
  /** For replicas, which share Redis with the first. */
  redisPrefix: string;
  /** One more replica of the router, over HTTP, with a client of its own. It stops with the supergraph. */
  anotherRouter(): Promise<TestClient>;
  stop(): Promise<void>;
}

export interface SupergraphOptions {
  /** For tests that break their own Redis. */
  redisUrl?: string;
  /** For other limits. */
  env?: NodeJS.ProcessEnv;
  /** The router calls its subgraphs over HTTP, as in production; otherwise in process, as `npm start` does. */
  isApart?: boolean;
  /** Gets the mails. */
  mailbox?: TestMailbox;
  /** For tests that make the code forget its tenant: the statement that is sent instead. */
  rewriteStatement?(subgraph: Subgraph, text: string): string;
}

/** Call it in beforeAll. */
export async function aSupergraph(options: SupergraphOptions = {}): Promise<TestSupergraph> {
  const databases = Object.fromEntries(
    await Promise.all(NAMES.map(async (name) => [name, await aDatabase(name)] as const)),
  ) as Record<Subgraph, TestDatabase>;
  const redis = options.redisUrl ? { url: options.redisUrl, prefix: '' } : await aRedis();
  const env: NodeJS.ProcessEnv = {
    ...RATES_OFF,
    ...{ LOG_LEVEL: 'silent', REDIS_URL: redis.url, ROUTER_PORT: '0' },
  };
  // A scene may be larger than the smallest plan; what plans refuse is tests/e2e/plans'.
  for (const things of ['MEMBERS', 'PROJECTS', 'TASKS', 'API_CALLS'])
    env[`ORG_PLAN_FREE_${things}_MAX`] = '0';
  for (const name of NAMES) {
    env[`${name.toUpperCase()}_PORT`] = '0';
    env[`${name.toUpperCase()}_DATABASE_URL`] = databases[name].appUrl;
    env[`${name.toUpperCase()}_SYSTEM_DATABASE_URL`] = databases[name].systemUrl;
  }
  if (options.mailbox) env.NOTIFICATION_SMTP_URL = options.mailbox.smtpUrl;
  Object.assign(env, options.env);

  const counts = createCounts();
  const depsOf = (name: Subgraph) => ({
    redisPrefix: redis.prefix,
    observe: {
      onRequest: ({ query }: { query: string }) => void counts.calls[name].push(query),
      onStatement: (text: string) => void counts.statements[name].push(text),
    },
    rewriteStatement: (text: string) => options.rewriteStatement?.(name, text) ?? text,
  });
  const services = {
    user: createUser(readUserConfig(env), depsOf('user')),
    org: createOrg(readOrgConfig(env), depsOf('org')),
    task: createTask(readTaskConfig(env), depsOf('task')),
    notification: createNotification(readNotificationConfig(env), depsOf('notification')),
  };
  await Promise.all(Object.values(services).map((service) => service.start()));
  const subgraphUrls = Object.fromEntries(
    NAMES.map((name) => [name, `${services[name].url}/graphql`]),
  ) as Record<Subgraph, string>;
  for (const name of NAMES) env[`ROUTER_${name.toUpperCase()}_URL`] = subgraphUrls[name];
  env.ROUTER_JWKS_URL = `${services.user.url}/.well-known/jwks.json`;
  const routers: Router[] = [];
  const localSubgraphs = new Map(Object.entries(services));
  const startRouter = async (isApart: boolean) => {
    const router = createRouter(readRouterConfig(env), {
      redisPrefix: redis.prefix,
      ...(isApart ? {} : { localSubgraphs }),
    });
    routers.push(router);
    await router.start();
    return `${router.url}/graphql`;
  };
  const url = await startRouter(options.isApart ?? false);

  let stopped: Promise<unknown> | undefined;
  const stop = async () => {
    stopped ??= Promise.all(routers.map((router) => router.stop())).then(() =>
      Promise.all(Object.values(services).map((service) => service.stop())),
    );
    await stopped;
  };
  afterAll(stop);
  const client = createTestClient(url);
  const anotherRouter = async () => createTestClient(await startRouter(true));
  return {
    ...{ url, subgraphUrls, databases, counts, client, env },
    ...{ redisPrefix: redis.prefix, anotherRouter, stop },
  };
}

function createCounts(): Counts {
  const empty = () =>
    Object.fromEntries(NAMES.map((name) => [name, []])) as unknown as Record<Subgraph, string[]>;
  const counts = {
    calls: empty(),
    statements: empty(),
    reset() {
      for (const name of NAMES) {
        counts.calls[name].length = 0;
        counts.statements[name].length = 0;
      }
    },
  };
  return counts;
}
