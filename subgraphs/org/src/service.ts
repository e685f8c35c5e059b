import { createApply } from '@taskflow/kit/apply';
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
import type { OrgConfig } from './config.ts';
import { createContextFactory } from './context.ts';
import { createDatabase, unscopedTables } from './data/database.ts';
import { createOrgStore } from './data/store.ts';
import { createOrganizations } from './domain/organizations.ts';
import { createProjects } from './domain/projects.ts';
import { createTeamMembers } from './domain/team-members.ts';
import { createTeams } from './domain/teams.ts';
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

  const store = createOrgStore(database);
  const organizations = createOrganizations(store);
  const teams = createTeams(store, { organizations, cursors });
  const teamMembers = createTeamMembers(store, { teams, cursors });
  const projects = createProjects(store, { organizations, teams, cursors });
  const { transaction } = store;
  const facts = createApply({ handlers: createHandlers(), parse: parseFact, transaction, log });

  const graphql = createGraphqlService({
    name: 'org',
    host: config.ORG_HOST,
    port: config.ORG_PORT,
    typeDefs: subgraphSdl('org'),
    resolvers,
    contextRing: parseKeyRing(config.ORG_CONTEXT_KEY),
    allowUnsigned: config.ORG_ALLOW_UNSIGNED,
    log,
    context: createContextFactory({ organizations, teams, teamMembers, projects }),
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
  };
}
