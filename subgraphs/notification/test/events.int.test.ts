import { randomUUID } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { taskAssigned, taskStatusChanged } from '@taskflow/tests/kit/facts';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { beforeAll, describe, expect, it } from 'vitest';
import { readNotificationConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

const EVENTS = `subscription ($after: String) { notificationEvents(after: $after) { __typename
  ... on StreamHeartbeat { cursor } ... on ResyncRequired { cursor reason }
  ... on NotificationChange { cursor counts { unread unseen } notification { id title readAt } } } }`;
const TITLES = '{ notifications { nodes { title kind } } notificationCounts { unread unseen } }';

let notification: TestSubgraph;
let colleague: Viewer;
let viewer: Viewer;

beforeAll(async () => {
  notification = await aSubgraph('notification', (env, deps) =>
    createService(readNotificationConfig(env), deps),
  );
});

function newPeople() {
  viewer = aViewer('MEMBER');
  colleague = aViewer('MEMBER', viewer.orgId);
}

const assigned = (to: Viewer, title = 'Draw the board') =>
  taskAssigned({ orgId: to.orgId, assigneeId: to.userId, title });

async function settle(...facts: Parameters<TestSubgraph['deliver']>) {
  await notification.deliver(...facts);
  await notification.settled(...facts);
}

async function inboxOf(owner: Viewer): Promise<{ titles: string[]; counts: object }> {
  const { notifications, notificationCounts } = await notification.ask(owner, TITLES);
  return {
    titles: notifications.nodes.map(({ title }: { title: string }) => title),
    counts: notificationCounts,
  };
}

async function markAllRead(owner: Viewer): Promise<string> {
  const mutation = 'mutation { notificationMarkRead(input: { all: true }) { success syncId } }';
  return (await notification.ask(owner, mutation)).notificationMarkRead.syncId;
}

describe('facts that notification consumes', () => {
  it('make one notice for each person, however often they are delivered', async () => {
    newPeople();
    const facts = [
      assigned(viewer),
      taskStatusChanged({
        ...{ orgId: viewer.orgId, assigneeId: viewer.userId, creatorId: colleague.userId },
        actorId: randomUUID(),
      }),
    ];
    await settle(...facts, ...facts);
    const marker = assigned(viewer, 'marker');
    await settle(...facts, marker);
    expect((await inboxOf(viewer)).titles.sort()).toEqual([
      'ENG-1 is in progress: Draw the board',
      'ENG-1 was assigned to you: Draw the board',
      'ENG-1 was assigned to you: marker',
    ]);
    expect(await inboxOf(viewer)).toMatchObject({ counts: { unread: 3, unseen: 3 } });
    expect(await inboxOf(colleague)).toEqual({
      ...{ titles: ['ENG-1 is in progress: Draw the board'], counts: { unread: 1, unseen: 1 } },
    });
  });

  it('make no notice for those who did it themselves', async () => {
    newPeople();
    const own = { orgId: viewer.orgId, actorId: viewer.userId, creatorId: viewer.userId };
    await settle(
      taskAssigned({ ...own, assigneeId: viewer.userId }),
      taskStatusChanged({ ...own, assigneeId: viewer.userId }),
      taskStatusChanged({ ...own, assigneeId: colleague.userId }),
      taskAssigned({ ...own, assigneeId: null }),
    );
    expect(await inboxOf(viewer)).toEqual({ titles: [], counts: { unread: 0, unseen: 0 } });
    expect((await inboxOf(colleague)).titles).toHaveLength(1);
  });

  it('leave notices as they were: a later rename of the task changes no title', async () => {
    newPeople();
    const task = { orgId: viewer.orgId, assigneeId: viewer.userId, taskId: randomUUID() };
    await settle(taskAssigned({ ...task, key: 'ENG-1', title: 'Before', version: 1 }));
    await settle(taskStatusChanged({ ...task, key: 'OPS-9', title: 'After', version: 2, status: 'DONE' }));
    expect((await inboxOf(viewer)).titles).toEqual([
      'OPS-9 is done: After',
      'ENG-1 was assigned to you: Before',
    ]);
  });

  it('reach only the organisation that they are of', async () => {
    newPeople();
    const elsewhere = { ...viewer, orgId: randomUUID() };
    await settle(assigned(elsewhere));
    expect((await inboxOf(viewer)).titles).toEqual([]);
    expect((await inboxOf(elsewhere)).titles).toHaveLength(1);
  });
});

describe('notificationEvents', () => {
  it('tell a person of new and of read notices, with the counts and a position, and nobody else', async () => {
    newPeople();
    const socket = await notification.connect();
    const [mine, theirs] = [socket.subscribe(viewer, EVENTS), socket.subscribe(colleague, EVENTS)];
    await Promise.all([mine.nextOf('StreamHeartbeat'), theirs.nextOf('StreamHeartbeat')]);
    await settle(assigned(viewer));
    const { payload } = await mine.frame();
    expect(payload).toEqual({
      data: {
        notificationEvents: {
          ...{
            __typename: 'NotificationChange',
            cursor: expect.any(String),
            counts: { unread: 1, unseen: 1 },
          },
          notification: {
            ...{ id: expect.any(String), title: 'ENG-1 was assigned to you: Draw the board', readAt: null },
          },
        },
      },
      extensions: { cursor: expect.any(String), position: 1 },
    });
    await markAllRead(viewer);
    expect(await mine.nextOf('NotificationChange')).toMatchObject({
      counts: { unread: 0, unseen: 0 },
      notification: { readAt: expect.any(String) },
    });
    await settle(assigned(colleague, 'for the colleague'));
    const [first] = [await theirs.nextOf('NotificationChange')];
    expect(first.notification.title).toContain('for the colleague');
    expect(mine.waiting).toEqual([]);
  });

  it('go on after a cursor, after the syncId of a write, and after the router’s position: once each, in order', async () => {
    newPeople();
    await settle(assigned(viewer, 'one'));
    const syncId = await markAllRead(viewer);
    await settle(assigned(viewer, 'three'));
    await settle(assigned(viewer, 'four'));
    const socket = await notification.connect();
    const titlesAfter = async (after: string | undefined, position?: number) => {
      const stream = socket.subscribe(viewer, EVENTS, after === undefined ? {} : { after }, position);
      const events = [];
      for (;;) {
        const { notificationEvents: event } = await stream.next<{ notificationEvents: Known }>();
        if (event.__typename === 'StreamHeartbeat') break;
        events.push(event);
      }
      stream.complete();
      return events.map(({ cursor, notification: row }) => ({ cursor, title: row?.title.split(': ')[1] }));
    };
    const all = await titlesAfter(undefined, 0);
    expect(all.map(({ title }) => title)).toEqual(['one', 'one', 'three', 'four']);
    expect(new Set(all.map(({ cursor }) => cursor)).size).toBe(4);
    expect(await titlesAfter(syncId)).toEqual(all.slice(2));
    for (const [i, { cursor }] of all.entries()) expect(await titlesAfter(cursor)).toEqual(all.slice(i + 1));
    expect(await titlesAfter(all[0]?.cursor, 3)).toEqual(all.slice(3));
  });

  it('refuse an `after` that is tampered with, of another organisation, or the syncId of nothing', async () => {
    newPeople();
    await settle(assigned(viewer));
    const socket = await notification.connect();
    const { cursor } = await socket.subscribe(viewer, EVENTS, {}, 0).nextOf('NotificationChange');
    const syncId = await markAllRead(viewer);
    const foreign = aViewer('MEMBER');
    const asked: [Viewer | null, string, string][] = [
      [viewer, `${cursor.slice(0, -2)}${cursor.endsWith('AA') ? 'BB' : 'AA'}`, 'BAD_USER_INPUT'],
      [viewer, '', 'BAD_USER_INPUT'],
      [viewer, '0', 'BAD_USER_INPUT'],
      [foreign, cursor, 'BAD_USER_INPUT'],
      [foreign, syncId, 'BAD_USER_INPUT'],
      [viewer, `notification.${randomUUID()}`, 'BAD_USER_INPUT'],
      [null, cursor, 'UNAUTHENTICATED'],
    ];
    for (const [by, after, code] of asked) {
      const frame = await socket.subscribe(by, EVENTS, { after }).frame();
      expect([frame.type, frame.payload[0].extensions.code], after).toEqual(['error', code]);
    }
  });

  it('go on for the second of two listeners when the first leaves, by word or with its socket', async () => {
    newPeople();
    const [socket, other] = [await notification.connect(), await notification.connect()];
    const listeners = [
      socket.subscribe(viewer, EVENTS),
      socket.subscribe(viewer, EVENTS),
      other.subscribe(viewer, EVENTS),
    ] as const;
    for (const listener of listeners) await listener.nextOf('StreamHeartbeat');
    await settle(assigned(viewer, 'all three'));
    for (const listener of listeners) await listener.nextOf('NotificationChange');
    listeners[0].complete();
    other.cut();
    await other.closed;
    await settle(assigned(viewer, 'the second alone'));
    const { notification: row } = await listeners[1].nextOf('NotificationChange');
    expect(row.title).toContain('the second alone');
    expect(listeners[0].waiting).toEqual([]);
    // And who comes when others have left finds the stream running.
    const late = socket.subscribe(viewer, EVENTS);
    await late.nextOf('StreamHeartbeat');
    listeners[1].complete();
    await settle(assigned(viewer, 'the late one'));
    expect((await late.nextOf('NotificationChange')).notification.title).toContain('the late one');
  });
});

// biome-ignore lint/suspicious/noExplicitAny: a test reads into events that it knows
type Known = any;
