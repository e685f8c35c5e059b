import { randomUUID } from 'node:crypto';
import { createApply } from '@taskflow/kit/apply';
import { createAuditLog } from '@taskflow/kit/audit-log';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { createRound } from '@taskflow/kit/background';
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
import type { OrgConfig } from './config.ts';
import { createContextFactory } from './context.ts';
import { createDatabase, unscopedTables } from './data/database.ts';
import { createOrgStore } from './data/store.ts';
import { createUsageFlush } from './data/usage-flush.ts';
import { createOrganizations } from './domain/organizations.ts';
import { limitsOfPlans } from './domain/plan-limits.ts';
import { createPlans } from './domain/plans.ts';
import { createProjects } from './domain/projects.ts';
import { createTeamMembers } from './domain/team-members.ts';
import { createTeams } from './domain/teams.ts';
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

/** The org subgraph. Builds every part and opens nothing before `start`. */
export function createService(
  config: OrgConfig,
  { observe, redisPrefix, rewriteStatement }: ServiceDeps = {},
) {
  const log = createLog({ process: 'org', level: config.LOG_LEVEL });
  const cursors = createCursors(parseKeyRing(config.ORG_CURSOR_KEY));
  const database = createDatabase({
    url: config.ORG_DATABASE_URL,
    systemUrl: config.ORG_SYSTEM_DATABASE_URL,
    poolSize: config.ORG_DATABASE_POOL_SIZE,
    systemPoolSize: config.ORG_SYSTEM_DATABASE_POOL_SIZE,
    onStatement: observe?.onStatement,
    rewriteStatement,
  });
  const path = createEventPath({
    ...{ service: 'org', ...routesOf('org') },
    ...{ database, cursors, audit: keepingOf(config), redisUrl: config.REDIS_URL, redisPrefix, log },
  });
  database.onCommit(path.poke);
  const auditLog = createAuditLog({ pool: database.pool, source: 'org', cursors });

  const store = createOrgStore(database);
  const organizations = createOrganizations(store);
  const teams = createTeams(store, { organizations, cursors });
  const teamMembers = createTeamMembers(store, { teams, cursors });
  const projects = createProjects(store, { organizations, teams, cursors });
  const plans = createPlans(store, { limitsOf: limitsOfPlans(config) });
  const usage = createUsage(store, { plans });
  const { transaction } = store;
  const facts = createApply({ handlers: createHandlers({ plans }), parse: parseFact, transaction, log });

  const planTelling = createRound(log, 'telling of plans', config.ORG_PLAN_CHECK_MS, () =>
    plans.tellUntold(randomUUID()),
  );
  const usageFlush = createUsageFlush(database, path.redis, { intervalMs: config.ORG_USAGE_FLUSH_MS, log });

  const graphql = createGraphqlService({
    name: 'org',
    host: config.ORG_HOST,
    port: config.ORG_PORT,
    typeDefs: subgraphSdl('org'),
    resolvers,
    contextRing: parseKeyRing(config.ORG_CONTEXT_KEY),
    allowUnsigned: config.ORG_ALLOW_UNSIGNED,
    log,
    context: createContextFactory({ auditLog, organizations, teams, teamMembers, projects, plans, usage }),
    probes: { postgres: database.ping, redis: { ask: path.ping, essential: false } },
    anonymousFields: [],
    neededScope,
    ...(observe ? { observe } : {}),
    onStop: [planTelling.stop, usageFlush.stop, path.stop, database.close],
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
        planTelling.start();
        usageFlush.start();
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
