import { randomUUID } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { taskAssigned } from '@taskflow/tests/kit/facts';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { beforeAll, describe, expect, it } from 'vitest';
import { readNotificationConfig } from '../src/config.ts';
import { createDatabase } from '../src/data/database.ts';
import { createService } from '../src/service.ts';

const ENTITIES = 'query ($representations: [_Any!]!) { _entities(representations: $representations) {';
const SIZES = [1, 10, 100];

let notification: TestSubgraph;
const viewer = aViewer('MEMBER');
const colleague = aViewer('ORG_ADMIN', viewer.orgId);
const stranger = aViewer('MEMBER');
let ids: string[];

async function someNotices(owner: Viewer, count: number): Promise<string[]> {
  const facts = Array.from({ length: count }, () =>
    taskAssigned({ orgId: owner.orgId, assigneeId: owner.userId }),
  );
  await notification.deliver(...facts);
  await notification.settled(...facts);
  const { notifications } = await notification.ask(owner, '{ notifications(first: 100) { nodes { id } } }');
  return notifications.nodes.map(({ id }: { id: string }) => id);
}

beforeAll(async () => {
  notification = await aSubgraph('notification', (env, deps) =>
    createService(readNotificationConfig(env), deps),
  );
  ids = await someNotices(viewer, 100);
});

async function entities(by: Viewer, typename: string, asked: readonly string[], selection: string) {
  const representations = asked.map((id) => ({ __typename: typename, id }));
  const query = `${ENTITIES} ... on ${typename} { ${selection} } } }`;
  return (await notification.ask(by, query, { representations }))._entities;
}

/** How many statements each run took. */
async function statementsOf(runs: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const counts = [];
  for (const run of runs) {
    notification.statements.length = 0;
    await run();
    counts.push(notification.statements.length);
  }
  return counts;
}

describe('entities of notification', () => {
  it('take one statement for 1, 10 and 100 notifications, in the order of the asking', async () => {
    const counts = await statementsOf(
      SIZES.map((size) => async () => {
        const asked = ids.slice(0, size).reverse();
        const found = await entities(viewer, 'Notification', asked, 'id title task { id } actor { id }');
        expect(found.map(({ id }: { id: string }) => id)).toEqual(asked);
      }),
    );
    expect(counts).toEqual([1, 1, 1]);
  });

  it('take one statement for the counts of 1, 10 and 100 people, of whom the viewer alone has any', async () => {
    const people = [viewer.userId, colleague.userId, ...Array.from({ length: 98 }, () => randomUUID())];
    const counts = await statementsOf(
      SIZES.map((size) => async () => {
        const found = await entities(
          viewer,
          'User',
          people.slice(0, size),
          'notificationCounts { unread unseen }',
        );
        const others = Array.from({ length: size - 1 }, () => ({ notificationCounts: null }));
        expect(found).toEqual([{ notificationCounts: { unread: 100, unseen: 100 } }, ...others]);
      }),
    );
    expect(counts).toEqual([1, 1, 1]);
  });

  it('are null for a colleague’s, foreign, absent and malformed ids alike', async () => {
    const [theirs = ''] = await someNotices(colleague, 1);
    const [foreign = ''] = await someNotices(stranger, 1);
    const asked = [theirs, foreign, randomUUID(), 'no-uuid'];
    expect(await entities(viewer, 'Notification', asked, 'id title')).toEqual([null, null, null, null]);
    const admin = { ...colleague, role: 'ORG_ADMIN' as const };
    expect(await entities(admin, 'Notification', ids.slice(0, 2), 'id')).toEqual([null, null]);
  });

  it('give the counts of a foreign person to nobody', async () => {
    const asked = [stranger.userId, randomUUID(), 'no-uuid'];
    const none = { notificationCounts: null };
    expect(await entities(viewer, 'User', asked, 'notificationCounts { unread }')).toEqual([
      none,
      none,
      none,
    ]);
  });
});

describe('the one door to the database', () => {
  // Prisma merges the findUnique calls of one tick, whoever made them: the answers of one tenant for all.
  it('mixes up no tenants that look up rows in the same tick, each its own and the other’s', async () => {
    const { appUrl, systemUrl } = notification.database;
    const database = createDatabase({ url: appUrl, systemUrl, poolSize: 4, systemPoolSize: 1 });
    try {
      const owners = [aViewer('MEMBER'), aViewer('MEMBER')] as const;
      const rows = await Promise.all(
        owners.map(async (owner) => {
          const [id = ''] = await someNotices(owner, 1);
          return { orgId: owner.orgId, id };
        }),
      );
      const lookUps = Array.from({ length: 100 }, (_, n) => ({
        asker: owners[n % 2] as Viewer,
        row: rows[n % 4 < 2 ? 0 : 1] as { orgId: string; id: string },
      }));
      const found = await Promise.all(
        lookUps.map(({ asker, row }) =>
          database.read(asker, (tx) => tx.notification.findUnique({ where: { orgId_id: row } })),
        ),
      );
      expect(found.map((row) => row?.id ?? null)).toEqual(
        lookUps.map(({ asker, row }) => (row.orgId === asker.orgId ? row.id : null)),
      );
    } finally {
      await database.close();
    }
  });
});

describe('the list of notifications', () => {
  it('takes one statement for 1, 10 and 100 of them, with the tasks and people they name', async () => {
    const query =
      'query ($first: Int) { notifications(first: $first) { nodes { id task { id } actor { id } } } }';
    const counts = await statementsOf(
      SIZES.map((first) => async () => {
        const { notifications } = await notification.ask(viewer, query, { first });
        expect(notifications.nodes).toHaveLength(first);
      }),
    );
    expect(counts).toEqual([1, 1, 1]);
  });
});
