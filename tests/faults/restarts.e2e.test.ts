import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROCESSES, type Processes, startProcesses } from '@taskflow/dev/processes';
import { subgraphs } from '@taskflow/prisma/databases';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestClient } from '../kit/client.ts';
import { aMember, anOrg, aProject, aTeam, joinsTeam, type TestPerson } from '../kit/seed.ts';
import { openSocket, type TestSocket, type TestSubscription } from '../kit/socket.ts';
import { until } from '../kit/until.ts';

const EVENTS = `subscription Follow($after: String) { taskEvents(after: $after) { __typename
  ... on StreamHeartbeat { cursor } ... on ResyncRequired { cursor reason }
  ... on TaskChange { cursor kind taskId version task { title assignee { name } project { name } } } } }`;

/** A server that comes back is found again within seconds; the machine has neighbours. */
const BACK_MS = 30_000;
const PARTS = [...PROCESSES, 'redis', 'postgres'] as const;

let dir: string;
let processes: Processes;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'taskflow-restarts-'));
  processes = await startProcesses({ dir, ports: 'free', env: { LOG_LEVEL: 'fatal' } });
}, 120_000);
afterAll(async () => {
  await processes?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** As a good client does: the same request with the same key, until it is answered. */
async function createTask(by: TestPerson, input: { title: string; projectId: string; assigneeId: string }) {
  const headers = { 'idempotency-key': randomUUID() };
  return until(
    `an answer for ${input.title}`,
    async () => {
      const { data } = await by.client.send<{
        taskCreate: { success: boolean; task: { id: string } | null };
      }>(
        'mutation ($input: TaskCreateInput!) { taskCreate(input: $input) { success userErrors { code message } task { id } } }',
        { input },
        headers,
      );
      return data?.taskCreate?.task?.id;
    },
    BACK_MS,
  );
}

interface Change {
  kind: string;
  taskId: string;
  version: number;
}

/** A dashboard: whatever cuts it off, it comes back with its last cursor. */
function follow(person: TestPerson) {
  const changes: Change[] = [];
  const resyncs: string[] = [];
  let cursor: string | null = null;
  let isStopped = false;
  let socket: TestSocket | null = null;
  const attend = async (subscription: TestSubscription) => {
    for (;;) {
      const frame = await subscription.frame();
      const event = frame.type === 'next' ? frame.payload.data?.taskEvents : null;
      if (!event) return;
      cursor = event.cursor;
      if (event.__typename === 'TaskChange') changes.push(event);
      if (event.__typename === 'ResyncRequired') resyncs.push(event.reason);
    }
  };
  const run = async () => {
    while (!isStopped) {
      try {
        socket = await openSocket(person.client.url, person.accessToken);
        await attend(socket.subscribe(EVENTS, { after: cursor }));
      } catch {
        // cut off, or nobody there yet: `until` below paces the next attempt
      }
      socket?.cut();
      await until(
        'the router',
        () => fetch(`${processes.urls.router}/health/live`).then((it) => it.ok),
        BACK_MS,
      );
    }
  };
  const running = run().catch(() => {});
  return {
    changes,
    resyncs,
    isAttending: () => cursor !== null,
    async stop() {
      isStopped = true;
      socket?.cut();
      await running;
    },
  };
}

describe('with any one process killed in the middle and started again', () => {
  it('the story completes: no fact is lost, and none comes twice', async () => {
    const client = createTestClient(processes.routerUrl);
    const ada = await anOrg(client, 'Ada');
    const grace = await aMember(ada, 'MEMBER', 'Grace');
    const team = await aTeam(ada);
    await joinsTeam(ada, team.id, grace);
    const project = await aProject(ada, { teamIds: [team.id] });
    const board = follow(grace);
    await until('the board to attend', board.isAttending);

    const made: string[] = [];
    const make = async (title: string) => {
      made.push(await createTask(ada, { title, projectId: project.id, assigneeId: grace.id }));
    };
    for (const part of PARTS) {
      await make(`before ${part} is killed`);
      await processes.kill(part);
      const [, restarted] = await Promise.allSettled([
        make(`while ${part} is away`),
        processes.restart(part),
      ]);
      expect(restarted, part).toMatchObject({ status: 'fulfilled' });
      await make(`after ${part} is back`);
      await until(`the board to catch up after ${part}`, () => board.changes.length >= made.length, BACK_MS);
    }

    expect(made).toHaveLength(3 * PARTS.length);
    expect(board.changes.map(({ kind, taskId, version }) => ({ kind, taskId, version }))).toEqual(
      made.map((taskId) => ({ kind: 'CREATED', taskId, version: 1 })),
    );
    expect(board.resyncs).toEqual([]);
    await board.stop();

    const inbox = await until(
      'the inbox to be complete',
      async () => {
        const answer = await grace.client.ask<{
          notifications: { nodes: { task: { id: string } }[] };
          notificationCounts: { unread: number };
        }>('{ notifications(first: 100) { nodes { task { id } } } notificationCounts { unread unseen } }');
        return answer.notificationCounts.unread >= made.length && answer;
      },
      BACK_MS,
    );
    expect(inbox.notificationCounts).toEqual({ unread: made.length, unseen: made.length });
    expect(inbox.notifications.nodes.map(({ task }) => task.id).sort()).toEqual([...made].sort());

    for (const name of subgraphs) await nothingIsLeft(name);
  }, 180_000);
});

/** Behind the service: every fact numbered without gaps and published, none put aside. */
async function nothingIsLeft(name: string): Promise<void> {
  const client = new pg.Client({
    connectionString: processes.env[`${name.toUpperCase()}_SYSTEM_DATABASE_URL`] as string,
  });
  await client.connect();
  try {
    await until(`the facts of ${name} to be published`, async () => {
      const { rows } = await client.query('select from outbox where published_at is null limit 1');
      return rows.length === 0;
    });
    const { rows } = await client.query(
      `select org_id, count(*)::int as facts, count(distinct fact_id)::int as distinct, min(seq)::int as first,
         max(seq)::int as last from outbox group by org_id`,
    );
    for (const row of rows) {
      expect(row, name).toMatchObject({ distinct: row.facts, first: 1, last: row.facts });
    }
    const { rows: letters } = await client.query('select type, reason from dead_letters');
    expect(letters, name).toEqual([]);
  } finally {
    await client.end();
  }
}
