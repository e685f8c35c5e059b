import { createApply } from '@taskflow/kit/apply';
import { createAuditLog } from '@taskflow/kit/audit-log';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { parseKeyRing } from '@taskflow/kit/config';
import { createEventPath } from '@taskflow/kit/event-path';
import { createLog } from '@taskflow/kit/log';
import { createCursors } from '@taskflow/kit/page';
import { untilReachable } from '@taskflow/kit/process';
import { createGraphqlService, type GraphqlServiceOptions } from '@taskflow/kit/service';
import { assertProtected } from '@taskflow/kit/tenant-pool';
import { parseFact, routesOf } from '@taskflow/schema/events';
import { neededScope } from '@taskflow/schema/scopes';
import { subgraphSdl } from '@taskflow/schema/sdl';
import type { TaskConfig } from './config.ts';
import { createContextFactory } from './context.ts';
import { createDatabase, unscopedTables } from './data/database.ts';
import { createTaskStore } from './data/store.ts';
import { createTaskEvents } from './domain/task-events.ts';
import { createTasks } from './domain/tasks.ts';
import { createUsage } from './domain/usage.ts';
import { createHandlers } from './events/index.ts';
import { resolvers } from './resolvers/index.ts';

export interface ServiceDeps {
  /** Sees each request and each statement that serves one; for counting in tests. */
  observe?: GraphqlServiceOptions['observe'] & { onStatement?(text: string): void };
  /** Separates test runs on one Redis. */
  redisPrefix?: string;
  /** Tests only: the statement that is sent instead, to see what holds when the code forgets its tenant. */
  rewriteStatement?(text: string): string;
}

/** The task subgraph. Builds every part and opens nothing before `start`. */
export function createService(
  config: TaskConfig,
  { observe, redisPrefix, rewriteStatement }: ServiceDeps = {},
) {
  const log = createLog({ process: 'task', level: config.LOG_LEVEL });
  const cursors = createCursors(parseKeyRing(config.TASK_CURSOR_KEY));
  const database = createDatabase({
    url: config.TASK_DATABASE_URL,
    systemUrl: config.TASK_SYSTEM_DATABASE_URL,
    poolSize: config.TASK_DATABASE_POOL_SIZE,
    systemPoolSize: config.TASK_SYSTEM_DATABASE_POOL_SIZE,
    onStatement: observe?.onStatement,
    rewriteStatement,
  });
  const path = createEventPath({
    ...{ service: 'task', ...routesOf('task') },
    ...{ database, cursors, audit: keepingOf(config), redisUrl: config.REDIS_URL, redisPrefix, log },
  });
  database.onCommit(path.poke);
  const auditLog = createAuditLog({ pool: database.pool, source: 'task', cursors });

  const store = createTaskStore(database);
  const tasks = createTasks(store, { cursors });
  const events = createTaskEvents(path.events, { store, tasks });
  const { transaction } = store;
  const facts = createApply({ handlers: createHandlers(), parse: parseFact, transaction, log });

  const graphql = createGraphqlService({
    name: 'task',
    host: config.TASK_HOST,
    port: config.TASK_PORT,
    typeDefs: subgraphSdl('task'),
    resolvers,
    contextRing: parseKeyRing(config.TASK_CONTEXT_KEY),
    allowUnsigned: config.TASK_ALLOW_UNSIGNED,
    log,
    context: createContextFactory({ auditLog, tasks, events, usage: createUsage(store) }),
    probes: { postgres: database.ping, redis: { ask: path.ping, essential: false } },
    anonymousFields: [],
    neededScope,
    ...(observe ? { observe } : {}),
    onStop: [path.stop, database.close],
  });

  return {
    get url() {
      return graphql.url;
    },
    async start() {
      try {
        await untilReachable('PostgreSQL', database.ping, log);
        await assertProtected(database.pool, { unscopedTables });
        path.start(facts);
        await graphql.start();
      } catch (error) {
        await graphql.stop();
        throw error;
      }
    },
    stop: graphql.stop,
    call: graphql.call,
    subscribe: graphql.subscribe,
  };
}
