import type { Viewer } from '@taskflow/kit/identity';
import { bytesOf } from '@taskflow/tests/kit/client';
import { type TaskFactOptions, taskAssigned, taskStatusChanged } from '@taskflow/tests/kit/facts';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readNotificationConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

const ABSENT = '01900000-0000-7000-8000-000000000000';
const MARK = `mutation ($input: NotificationMarkReadInput!) { notificationMarkRead(input: $input) {
  success userErrors { code message field } syncId clientMutationId counts { unread unseen } notifications { id readAt seenAt } } }`;
const COUNTS = '{ notificationCounts { unread unseen } }';
const LIST = `query ($filter: NotificationFilter, $first: Int, $after: String) {
  notifications(filter: $filter, first: $first, after: $after) {
    nodes { id kind title readAt seenAt createdAt task { id } actor { id } } totalCount
    pageInfo { hasNextPage hasPreviousPage endCursor } } }`;

interface Node {
  id: string;
  kind: string;
  title: string;
  readAt: string | null;
}

let notification: TestSubgraph;
let behind: pg.Client;

beforeAll(async () => {
  notification = await aSubgraph('notification', (env, deps) =>
    createService(readNotificationConfig(env), deps),
  );
  behind = new pg.Client({ connectionString: notification.database.adminUrl });
  await behind.connect();
});
afterAll(() => behind.end());

async function list(viewer: Viewer, variables: object = {}): Promise<{ nodes: Node[]; totalCount: number }> {
  return (await notification.ask(viewer, LIST, variables)).notifications;
}

/** As many notices in the viewer's inbox, each of a task of its own, oldest first. */
async function someNotices(viewer: Viewer, count: number, options: Partial<TaskFactOptions> = {}) {
  const facts = Array.from({ length: count }, (_, i) =>
    taskAssigned({ orgId: viewer.orgId, assigneeId: viewer.userId, title: `task ${i}`, ...options }),
  );
  await notification.deliver(...facts);
  await notification.settled(...facts);
  return facts;
}

describe('the inbox', () => {
  it('shows who did what to which task, unread and unseen at first', async () => {
    const viewer = aViewer('MEMBER');
    const [fact] = await someNotices(viewer, 1, { key: 'ENG-7', title: 'Draw the board' });
    expect((await list(viewer)).nodes).toEqual([
      {
        ...{
          id: expect.any(String),
          kind: 'TASK_ASSIGNED',
          title: 'ENG-7 was assigned to you: Draw the board',
        },
        ...{ readAt: null, seenAt: null, createdAt: fact?.occurredAt },
        ...{ task: { id: fact?.aggregate.id }, actor: { id: fact?.actor.userId } },
      },
    ]);
    expect((await notification.ask(viewer, COUNTS)).notificationCounts).toEqual({ unread: 1, unseen: 1 });
  });

  it('lists newest first, each notice on exactly one page', async () => {
    const viewer = aViewer('MEMBER');
    await someNotices(viewer, 7);
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { notifications } = await notification.ask(viewer, LIST, { first: 3, after });
      seen.push(...notifications.nodes.map(({ title }: Node) => title.slice(-6)));
      expect(notifications.totalCount).toBe(7);
      expect(notifications.pageInfo.hasPreviousPage).toBe(after !== null);
      after = notifications.pageInfo.hasNextPage ? notifications.pageInfo.endCursor : null;
    } while (after);
    expect(new Set(seen).size).toBe(7);
    const { rows } = await behind.query(
      'select right(title, 6) as title from notifications where user_id = $1 order by created_at desc, id desc',
      [viewer.userId],
    );
    expect(seen).toEqual(rows.map(({ title }) => title));
  });

  it('takes pages up to 100, and refuses larger and negative ones', async () => {
    const viewer = aViewer('MEMBER');
    await someNotices(viewer, 101);
    expect((await list(viewer)).nodes).toHaveLength(25);
    expect((await list(viewer, { first: 1 })).nodes).toHaveLength(1);
    expect((await list(viewer, { first: 100 })).nodes).toHaveLength(100);
    for (const first of [-1, 101, 2_147_483_647]) {
      const { data, errors } = await notification.send(viewer, LIST, { first });
      expect([data, errors[0]?.extensions.code]).toEqual([null, 'BAD_USER_INPUT']);
    }
  });

  it('refuses a cursor that was tampered with, or is of another list, person or organisation', async () => {
    const viewer = aViewer('MEMBER');
    await someNotices(viewer, 2);
    const { notifications } = await notification.ask(viewer, LIST, { first: 1 });
    const cursor: string = notifications.pageInfo.endCursor;
    const asked: [Viewer, object][] = [
      [viewer, { after: `${cursor.slice(0, -2)}${cursor.endsWith('AA') ? 'BB' : 'AA'}` }],
      [viewer, { after: 'nonsense' }],
      [viewer, { after: cursor, filter: { readAt: { null: true } } }],
      [aViewer('MEMBER', viewer.orgId), { after: cursor }],
      [aViewer('MEMBER'), { after: cursor }],
      [{ ...viewer, orgId: aViewer().orgId }, { after: cursor }],
    ];
    for (const [by, variables] of asked) {
      const { data, errors } = await notification.send(by, LIST, variables);
      expect([data, errors[0]?.extensions.code], JSON.stringify(variables)).toEqual([null, 'BAD_USER_INPUT']);
    }
  });

  it('filters by kind, by being read and seen, and by age', async () => {
    const viewer = aViewer('MEMBER');
    await someNotices(viewer, 2);
    const changed = taskStatusChanged({ orgId: viewer.orgId, assigneeId: viewer.userId, status: 'DONE' });
    await notification.deliver(changed);
    await notification.settled(changed);
    const [newest] = (await list(viewer, { filter: { kind: { eq: 'TASK_STATUS_CHANGED' } } })).nodes;
    expect(newest?.title).toBe('ENG-1 is done: Draw the board');
    await notification.ask(viewer, MARK, { input: { ids: [newest?.id] } });
    const found = async (filter: object) => (await list(viewer, { filter })).nodes.length;
    expect(await found({ readAt: { null: true } })).toBe(2);
    expect(await found({ readAt: { null: false }, seenAt: { null: false } })).toBe(1);
    expect(await found({ kind: { in: [] } })).toBe(0);
    expect(await found({ kind: { neq: 'TASK_ASSIGNED' } })).toBe(1);
    expect(await found({ createdAt: { gt: '-P1D' } })).toBe(3);
    expect(await found({ createdAt: { lt: '-P1D' } })).toBe(0);
  });

  it('is nobody else’s: neither a colleague nor another organisation sees or counts it', async () => {
    const viewer = aViewer('MEMBER');
    await someNotices(viewer, 1);
    for (const other of [aViewer('ORG_ADMIN', viewer.orgId), { ...viewer, orgId: aViewer().orgId }]) {
      expect(await list(other)).toMatchObject({ nodes: [], totalCount: 0 });
      expect((await notification.ask(other, COUNTS)).notificationCounts).toEqual({ unread: 0, unseen: 0 });
    }
    const { errors } = await notification.send(null, COUNTS);
    expect(errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });
});

describe('marking as read', () => {
  it('marks by ids, and says when, what is left, and where the write stands', async () => {
    const viewer = aViewer('MEMBER');
    await someNotices(viewer, 3);
    const [one, two] = (await list(viewer)).nodes;
    const { notificationMarkRead: marked } = await notification.ask(viewer, MARK, {
      input: { ids: [two?.id, one?.id, one?.id], clientMutationId: 'mine' },
    });
    expect(marked).toEqual({
      ...{ success: true, userErrors: [], clientMutationId: 'mine', counts: { unread: 1, unseen: 1 } },
      syncId: expect.stringMatching(/^notification\.[0-9a-f-]{36}$/),
      notifications: [one, two].map((row) => ({
        ...{ id: row?.id, readAt: expect.any(String), seenAt: expect.any(String) },
      })),
    });
    const again = await notification.ask(viewer, MARK, { input: { ids: [one?.id] } });
    expect(again.notificationMarkRead).toMatchObject({
      ...{ success: true, syncId: null, counts: { unread: 1, unseen: 1 } },
      notifications: [{ readAt: marked.notifications[0].readAt }],
    });
  });

  it('marks all that are unread, of this inbox only', async () => {
    const viewer = aViewer('MEMBER');
    const colleague = aViewer('MEMBER', viewer.orgId);
    await someNotices(viewer, 3);
    await someNotices(colleague, 2);
    const { notificationMarkRead } = await notification.ask(viewer, MARK, { input: { all: true } });
    expect(notificationMarkRead).toMatchObject({ success: true, counts: { unread: 0, unseen: 0 } });
    expect(notificationMarkRead.notifications).toHaveLength(3);
    const { notificationCounts } = await notification.ask(colleague, COUNTS);
    expect(notificationCounts).toEqual({ unread: 2, unseen: 2 });
  });

  it('refuses neither, both, and more than 100 ids', async () => {
    const viewer = aViewer('MEMBER');
    const ids = Array.from({ length: 101 }, () => ABSENT);
    for (const input of [{}, { all: false }, { all: true, ids: [ABSENT] }, { ids }]) {
      const { notificationMarkRead } = await notification.ask(viewer, MARK, { input });
      expect(notificationMarkRead).toMatchObject({
        success: false,
        userErrors: [{ code: 'BAD_USER_INPUT', field: 'ids' }],
      });
    }
  });

  it('answers foreign, a colleague’s, absent and malformed ids byte for byte alike, and marks nothing then', async () => {
    const viewer = aViewer('MEMBER');
    const [colleague, stranger] = [aViewer('MEMBER', viewer.orgId), aViewer('MEMBER')];
    for (const owner of [viewer, colleague, stranger]) await someNotices(owner, 1);
    const idOf = async (owner: Viewer) => (await list(owner)).nodes[0]?.id;
    const own = await idOf(viewer);
    const answers = [];
    for (const id of [await idOf(colleague), await idOf(stranger), ABSENT, 'no-uuid']) {
      answers.push(await notification.send(viewer, MARK, { input: { ids: [own, id] } }));
    }
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(answers[0]?.data).toMatchObject({
      notificationMarkRead: { success: false, userErrors: [{ code: 'NOT_FOUND', field: 'ids' }] },
    });
    for (const owner of [viewer, colleague, stranger])
      expect((await list(owner)).nodes[0]?.readAt).toBeNull();
  });
});

describe('the counts', () => {
  it('stay exact while notices arrive and are marked at the same time', async () => {
    const viewer = aViewer('MEMBER');
    const facts = Array.from({ length: 60 }, () =>
      taskAssigned({ orgId: viewer.orgId, assigneeId: viewer.userId }),
    );
    await notification.deliver(...facts);
    const marking = Array.from({ length: 30 }, async (_, i) => {
      const { nodes } = await list(viewer, { first: 5, filter: { readAt: { null: true } } });
      const input = i % 10 === 0 ? { all: true } : { ids: nodes.map(({ id }) => id) };
      const { notificationMarkRead } = await notification.ask(viewer, MARK, { input });
      expect(notificationMarkRead.success).toBe(true);
    });
    await Promise.all([...marking, notification.settled(...facts)]);
    const { rows } = await behind.query(
      `select count(*) filter (where read_at is null)::int as unread,
         count(*) filter (where seen_at is null)::int as unseen, count(*)::int as total
       from notifications where user_id = $1`,
      [viewer.userId],
    );
    const { total, ...counted } = rows[0];
    expect(total).toBe(60);
    expect((await notification.ask(viewer, COUNTS)).notificationCounts).toEqual(counted);
  });

  it('in the facts of an inbox follow from one version to the next without a gap', async () => {
    const viewer = aViewer('MEMBER');
    const facts = Array.from({ length: 20 }, () =>
      taskAssigned({ orgId: viewer.orgId, assigneeId: viewer.userId }),
    );
    await notification.deliver(...facts);
    await notification.settled(...facts);
    const { rows } = await behind.query(
      `select aggregate_version as version, (envelope->'after'->>'unread')::int as unread
       from outbox where aggregate_id = $1 order by id`,
      [viewer.userId],
    );
    expect(rows).toEqual(Array.from({ length: 20 }, (_, i) => ({ version: i + 1, unread: i + 1 })));
  });
});

describe('a service that stops while it is busy', () => {
  it('finishes its requests, ends its subscriptions, and leaves nothing behind', async () => {
    const busy = await aSubgraph('notification', (env, deps) =>
      createService(readNotificationConfig(env), deps),
    );
    const admin = new pg.Client({ connectionString: busy.database.adminUrl });
    await admin.connect();
    try {
      const viewer = aViewer('MEMBER');
      const fact = taskAssigned({ orgId: viewer.orgId, assigneeId: viewer.userId });
      await busy.deliver(fact);
      await busy.settled(fact);
      const socket = await busy.connect();
      await socket.subscribe(viewer, 'subscription { notificationEvents { __typename } }').frame();

      // Three requests wait for a lock; the service is told to stop; then the lock is let go.
      await admin.query('begin');
      await admin.query('select from notification_counts for update');
      const requests = [1, 2, 3].map(() => busy.ask(viewer, MARK, { input: { all: true } }));
      const waiting = `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`;
      await until('three requests at the lock', async () => {
        return (await behind.query(waiting, [busy.database.name])).rowCount === 3; // in a transaction it would be frozen
      });
      const stopped = busy.stop();
      await until('readiness to end', async () => {
        const ready = await fetch(new URL('/health/ready', busy.url)).catch(() => null);
        return ready === null || ready.status === 503;
      });
      await admin.query('commit');
      const answers = await Promise.all(requests);
      expect(answers.map(({ notificationMarkRead }) => notificationMarkRead.success)).toEqual([
        true,
        true,
        true,
      ]);
      await stopped;
      expect((await socket.closed).code).toBe(1001);

      await expect(fetch(busy.url)).rejects.toThrow();
      // PostgreSQL notices a moment later that a client has said goodbye.
      await until('its sessions to end', async () => {
        const { rows } = await behind.query(
          `select query from pg_stat_activity where datname = $1 and usename <> current_user`,
          [busy.database.name],
        );
        return rows.length === 0;
      });
      const { rows } = await admin.query(
        `select (select count(*)::int from outbox where published_at is null) as unpublished,
           (select count(*)::int from relay_lease where expires_at > now()) as leases`,
      );
      expect(rows).toEqual([{ unpublished: 0, leases: 0 }]);
    } finally {
      await admin.end();
    }
  });
});
