/**
 * One subgraph alone: real database, real Redis, real sockets, called as the router calls it, with a context that the test
 * signs. Facts of other services are put into the work streams as their relays would.
 */
import { randomUUID } from 'node:crypto';
import { type KeyRing, parseKeyRing } from '@taskflow/kit/config';
import {
  bytesOfSubscription,
  CONTEXT_HEADER,
  type Role,
  signContext,
  type Viewer,
} from '@taskflow/kit/identity';
import { partitionOf, WORK_FIELD } from '@taskflow/kit/keys';
import type { Fact } from '@taskflow/kit/outbox';
import type { Subgraph } from '@taskflow/prisma/databases';
import { afterAll } from 'vitest';
import type { Answer } from './client.ts';
import { aDatabase, type TestDatabase } from './postgres.ts';
import { aRedis } from './redis.ts';
import { openSocket, type TestSocket, type TestSubscription } from './socket.ts';
import { until } from './until.ts';

interface Service {
  readonly url: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads into answers that it knows
type Known = any;

export interface TestSubgraph {
  url: string;
  database: TestDatabase;
  ring: KeyRing;
  /** Statements that served requests since `resetStatements`, transaction control included. */
  statements: string[];
  /** As the router would call for this viewer; null for nobody. */
  send<T = Record<string, unknown>>(
    viewer: Viewer | null,
    query: string,
    variables?: object,
    claims?: { idempotencyKey?: string },
  ): Promise<Answer<T>>;
  /** The data of an answer without errors; anything else fails with the exchange. */
  ask(
    viewer: Viewer | null,
    query: string,
    variables?: object,
    claims?: { idempotencyKey?: string },
  ): Promise<Known>;
  /** A socket as the router's: one connection, each operation with its own viewer. Call it in a test. */
  connect(): Promise<SubgraphSocket>;
  /** Puts facts into the work streams, in order, as the relays of their sources would. */
  deliver(...facts: Fact[]): Promise<void>;
  /** Resolves when the facts delivered so far are handled. */
  settled(...facts: Fact[]): Promise<void>;
  stop(): Promise<void>;
}

export interface SubgraphSocket extends Omit<TestSocket, 'subscribe'> {
  /** `after` is the router's position, beside the client's own argument. */
  subscribe(
    viewer: Viewer | null,
    query: string,
    variables?: Record<string, unknown>,
    after?: number,
  ): TestSubscription;
}

export function aViewer(role: Role = 'ORG_ADMIN', orgId: string = randomUUID()): Viewer {
  return { orgId, userId: randomUUID(), role, sessionId: randomUUID() };
}

type Create = (
  env: NodeJS.ProcessEnv,
  deps: { redisPrefix: string; observe: { onStatement(text: string): void } },
) => Service;

/** Call it in beforeAll: `aSubgraph('org', (env, deps) => createService(readOrgConfig(env), deps))`. */
export async function aSubgraph(name: Subgraph, create: Create): Promise<TestSubgraph> {
  const [database, redis] = await Promise.all([aDatabase(name), aRedis()]);
  const connections = await redis.connect();
  const key = `test:${randomUUID()}-${randomUUID()}`;
  const ring = parseKeyRing(key);
  const prefix = name.toUpperCase();
  const statements: string[] = [];
  const service = create(
    {
      ...{ LOG_LEVEL: process.env.LOG_LEVEL ?? 'silent', REDIS_URL: redis.url },
      // A scene may be larger than the smallest plan.
      ...{ ORG_PLAN_FREE_MEMBERS_MAX: '0', ORG_PLAN_FREE_PROJECTS_MAX: '0' },
      ...{ ORG_PLAN_FREE_TASKS_MAX: '0', ORG_PLAN_FREE_API_CALLS_MAX: '0' },
      [`${prefix}_PORT`]: '0',
      [`${prefix}_CONTEXT_KEY`]: key,
      [`${prefix}_DATABASE_URL`]: database.appUrl,
      [`${prefix}_SYSTEM_DATABASE_URL`]: database.systemUrl,
    },
    { redisPrefix: redis.prefix, observe: { onStatement: (text) => void statements.push(text) } },
  );
  await service.start();
  afterAll(() => service.stop());
  const url = `${service.url}/graphql`;

  async function send<T>(
    viewer: Viewer | null,
    query: string,
    variables: object = {},
    claims: { idempotencyKey?: string } = {},
  ): Promise<Answer<T>> {
    const body = JSON.stringify({ query, variables });
    const requestId = randomUUID();
    const context = signContext(ring, { viewer, requestId, audience: name, ...claims }, body);
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [CONTEXT_HEADER]: context },
      body,
    });
    const text = await response.text();
    const answer = JSON.parse(text);
    return {
      ...{ status: response.status, text, requestId, headers: response.headers },
      data: answer.data ?? null,
      errors: answer.errors ?? [],
    };
  }

  async function connect(): Promise<SubgraphSocket> {
    const socket = await openSocket(url, null);
    return {
      ...socket,
      subscribe(viewer, query, variables = {}, after) {
        const claims = { viewer, requestId: randomUUID(), audience: name };
        const context = signContext(ring, claims, bytesOfSubscription(query, variables));
        return socket.subscribe(query, variables, { context, after });
      },
    };
  }

  const { commands, keys } = connections;
  return {
    ...{ url, database, ring, statements, send, connect },
    async ask(viewer, query, variables, claims) {
      const answer = await send(viewer, query, variables, claims);
      if (answer.errors.length === 0 && answer.data !== null) return answer.data;
      throw new Error(`not the answer that was expected\nquery ${query}\nbody ${answer.text}`);
    },
    async deliver(...facts) {
      for (const fact of facts) {
        const stream = keys.workStream(fact.source, partitionOf(fact.orgId, fact.aggregate.id));
        await commands.xadd(stream, '*', WORK_FIELD, JSON.stringify(fact));
      }
    },
    async settled(...facts) {
      const { default: pg } = await import('pg');
      const admin = new pg.Client({ connectionString: database.adminUrl });
      await admin.connect();
      try {
        const ids = facts.map((fact) => fact.id);
        await until('facts to be handled', async () => {
          const { rows } = await admin.query('select from inbox where fact_id = any($1)', [ids]);
          return rows.length === new Set(ids).size;
        });
      } finally {
        await admin.end();
      }
    },
    stop: () => service.stop(),
  };
}
