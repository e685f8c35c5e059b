/**
 * The task subgraph as a router would see it: started by createService over a real database and Redis, called with signed
 * contexts; and a world that arrives as it does in production, as facts of user and org on the work streams.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { parseKeyRing } from '@taskflow/kit/config';
import {
  bytesOfSubscription,
  CONTEXT_HEADER,
  type Role,
  signContext,
  type Viewer,
} from '@taskflow/kit/identity';
import { partitionOf, WORK_FIELD } from '@taskflow/kit/keys';
import { type AnyFact, makeFact, type NewFact } from '@taskflow/schema/events';
import { aDatabase } from '@taskflow/tests/kit/postgres';
import { aRedis } from '@taskflow/tests/kit/redis';
import { until } from '@taskflow/tests/kit/until';
import { createClient } from 'graphql-ws';
import pg from 'pg';
import { afterAll, onTestFinished } from 'vitest';
import WebSocket from 'ws';
import { readTaskConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

export type TestTaskService = Awaited<ReturnType<typeof aTaskService>>;

/** Call it in beforeAll. */
export async function aTaskService() {
  const database = await aDatabase('task');
  const redis = await aRedis();
  const config = readTaskConfig({
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'silent',
    REDIS_URL: redis.url,
    TASK_PORT: '0',
    TASK_DATABASE_URL: database.appUrl,
    TASK_SYSTEM_DATABASE_URL: database.systemUrl,
  });
  const statements: string[] = [];
  const observe = { onStatement: (text: string) => void statements.push(text) };
  const start = async () => {
    const service = createService(config, { observe, redisPrefix: redis.prefix });
    await service.start();
    return service;
  };
  const service = await start();
  const admin = new pg.Pool({ connectionString: database.adminUrl, max: 2 });
  admin.on('error', () => {}); // the database is dropped under it
  afterAll(async () => {
    await service.stop();
    await admin.end();
  });
  const { commands, keys } = await redis.connect();
  const ring = parseKeyRing(config.TASK_CONTEXT_KEY);

  return {
    config,
    database,
    /** A second one over the same database and Redis. */
    start,
    stop: () => service.stop(),
    get url() {
      return `${service.url}/graphql`;
    },
    /** Statements that served requests, since the last call. */
    takeStatements: () => statements.splice(0),
    /** Looks behind the walls. */
    rows: async <R extends object>(text: string, values: unknown[] = []) =>
      (await admin.query<R>(text, values)).rows,
    /** Puts facts on the work streams as a relay does, and waits until each has been handled. */
    async deliver(...facts: AnyFact[]): Promise<void> {
      for (const fact of facts) {
        const stream = keys.workStream(fact.source, partitionOf(fact.orgId, fact.aggregate.id));
        await commands.xadd(stream, '*', WORK_FIELD, JSON.stringify(fact));
      }
      const ids = facts.map(({ id }) => id);
      await until('the facts to be handled', async () => {
        const { rows } = await admin.query('select from inbox where fact_id = any($1::uuid[])', [ids]);
        return rows.length === new Set(ids).size;
      });
    },
    as: (viewer: Viewer) => createCaller({ url: `${service.url}/graphql`, ring, viewer }),
  };
}

export interface Answer {
  status: number;
  /** The body as it came. */
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into answers that it knows
  data: any;
  errors: { message: string; extensions: { code: string } }[];
}

interface CallerOptions {
  url: string;
  ring: ReturnType<typeof parseKeyRing>;
  viewer: Viewer;
}

export type Caller = ReturnType<typeof createCaller>;

function createCaller({ url, ring, viewer }: CallerOptions) {
  const claimsOf = (more: object) => ({ viewer, requestId: 'request-1', audience: 'task', ...more });

  async function send(query: string, variables: object = {}, claims: object = {}): Promise<Answer> {
    const body = JSON.stringify({ query, variables });
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        [CONTEXT_HEADER]: signContext(ring, claimsOf(claims), body),
      },
      body,
    });
    const text = await response.text();
    return { status: response.status, text, errors: [], ...JSON.parse(text) };
  }

  return {
    viewer,
    send,
    /** The data of an answer without errors; anything else fails the test with the exchange. */
    // biome-ignore lint/suspicious/noExplicitAny: a test reads into answers that it knows
    async ask(query: string, variables: object = {}, claims: object = {}): Promise<any> {
      const answer = await send(query, variables, claims);
      if (answer.errors.length > 0) throw new Error(`${query}\n${JSON.stringify(variables)}\n${answer.text}`);
      return answer.data;
    },

    /** A subscription over a socket of its own, as the router opens it. `after` is the router's own position. */
    subscribe(query: string, variables: Record<string, unknown> = {}, { after }: { after?: number } = {}) {
      const client = createClient({
        url: url.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        retryAttempts: 0,
      });
      onTestFinished(() => client.dispose());
      const context = signContext(ring, claimsOf({}), bytesOfSubscription(query, variables));
      const events = client.iterate({
        ...{ query, variables },
        extensions: { context, ...(after === undefined ? {} : { after }) },
      });
      /** The next event of any kind, with its position. */
      // biome-ignore lint/suspicious/noExplicitAny: a test reads into events that it knows
      async function next(): Promise<any> {
        const { done, value } = await withDeadline(events.next());
        if (done) return null;
        const [event] = Object.values(value.data ?? {}) as unknown[];
        const { position } = (value.extensions ?? {}) as { position?: number };
        return { ...(event as object), position, errors: value.errors };
      }
      return {
        next,
        /** The next event that is no heartbeat. */
        async nextChange() {
          for (;;) {
            const event = await next();
            if (event?.__typename !== 'StreamHeartbeat') return event;
          }
        },
        /** Leaves, and lets the socket close. */
        leave: () => client.dispose(),
      };
    },
  };
}

const EVENT_DEADLINE_MS = 10_000;

async function withDeadline<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('no event in time')), EVENT_DEADLINE_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** An organisation whose facts have arrived here. */
export function anOrganization(service: TestTaskService) {
  const orgId = randomUUID();
  const versions = new Map<string, number>();
  const admin: Viewer = viewerOf(orgId, 'ORG_ADMIN');

  /** A fact of the next version of the thing. */
  // biome-ignore lint/suspicious/noExplicitAny: any type of fact goes through here
  function fact(type: any, id: string, before: any, after: any): AnyFact {
    const version = (versions.get(id) ?? 0) + 1;
    versions.set(id, version);
    const change = {
      type,
      orgId,
      aggregate: { id, version },
      actor: admin,
      requestId: 'world',
      before,
      after,
    };
    return makeFact(change as NewFact<AnyFact['type']>) as AnyFact;
  }

  const memberImage = ({ userId, role }: Viewer, status = 'ACTIVE') => ({
    ...{ id: userId, name: 'Grace', email: `${userId}@acme.test`, role, status },
  });

  return {
    orgId,
    admin: service.as(admin),
    fact,

    async joins(role: Role = 'MEMBER'): Promise<Caller> {
      const viewer = viewerOf(orgId, role);
      await service.deliver(fact('member.joined', viewer.userId, null, memberImage(viewer)));
      return service.as(viewer);
    },
    changes: (viewer: Viewer, role: Role, status = 'ACTIVE'): Promise<void> => {
      const after = memberImage({ ...viewer, role }, status);
      return service.deliver(fact('member.updated', viewer.userId, memberImage(viewer), after));
    },
    async team(): Promise<string> {
      const id = randomUUID();
      await service.deliver(fact('team.created', id, null, { id, name: 'Engines', parentTeamId: null }));
      return id;
    },
    /** Answers how to leave again. */
    async joinsTeam({ viewer }: Caller, teamId: string, role: 'MEMBER' | 'MANAGER' = 'MEMBER') {
      const stay = { id: randomUUID(), teamId, userId: viewer.userId, role, leftAt: null };
      await service.deliver(fact('team.member-added', stay.id, null, stay));
      return () =>
        service.deliver(
          fact('team.member-removed', stay.id, stay, { ...stay, leftAt: new Date().toISOString() }),
        );
    },
    async project(...teamIds: string[]) {
      const project = { id: randomUUID(), key: aKey(), name: 'Engine', teamIds };
      await service.deliver(fact('project.created', project.id, null, project));
      return project;
    },
    movesProject: (project: { id: string; key: string; teamIds: string[] }, ...teamIds: string[]) => {
      const before = { name: 'Engine', ...project };
      return service.deliver(fact('project.updated', project.id, before, { ...before, teamIds }));
    },
    chooses: (taskVisibility: 'ASSIGNED' | 'PROJECT') =>
      service.deliver(
        fact(
          'organization.updated',
          orgId,
          { name: 'Acme', taskVisibility: 'ASSIGNED' },
          { name: 'Acme', taskVisibility },
        ),
      ),
  };
}

export type TestOrganization = ReturnType<typeof anOrganization>;

export const viewerOf = (orgId: string, role: Role): Viewer => ({
  ...{ orgId, role, userId: randomUUID(), sessionId: randomUUID() },
});

const aKey = () => `P${randomBytes(4).toString('hex').toUpperCase()}`;

export const TASK = `id key title description status priority tags dueAt createdAt updatedAt archivedAt version
  assignee { id } creator { id } project { id } viewerCanUpdate viewerCanDelete`;

const PAYLOAD = `success clientMutationId syncId task { ${TASK} }
  userErrors { __typename code message field retryAfterMs
    ... on ConflictError { changedFields current { ... on Task { id version title } } } }`;

export const CREATE = `mutation ($input: TaskCreateInput!) { taskCreate(input: $input) { ${PAYLOAD} } }`;
export const UPDATE = `mutation ($input: TaskUpdateInput!) { taskUpdate(input: $input) { ${PAYLOAD} } }`;
export const DELETE = `mutation ($input: TaskDeleteInput!) { taskDelete(input: $input) { ${PAYLOAD} } }`;
export const EVENTS = `subscription ($filter: TaskEventFilter, $after: String) { taskEvents(filter: $filter, after: $after) {
  __typename
  ... on TaskChange { cursor kind taskId version changedFields occurredAt actor { id } task { id title version } }
  ... on StreamHeartbeat { cursor }
  ... on ResyncRequired { cursor reason } } }`;

/** A new task; fails the test when it is refused. */
export async function aTask(caller: Caller, input: object = {}) {
  const { taskCreate } = await caller.ask(CREATE, { input: { title: 'A task', ...input } });
  if (!taskCreate.success) throw new Error(JSON.stringify(taskCreate.userErrors));
  return { ...taskCreate.task, syncId: taskCreate.syncId };
}

/** The task after the change; fails the test when it is refused. */
export async function change(caller: Caller, input: { id: string; [field: string]: unknown }) {
  const { taskUpdate } = await caller.ask(UPDATE, { input });
  if (!taskUpdate.success) throw new Error(JSON.stringify(taskUpdate.userErrors));
  return { ...taskUpdate.task, syncId: taskUpdate.syncId };
}
