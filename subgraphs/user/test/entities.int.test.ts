import { randomUUID } from 'node:crypto';
import { bytesOf } from '@taskflow/tests/kit/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { ABSENT, aScene, type Person, type Scene } from './scene.ts';

const ENTITIES = `query ($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on User { id name email role isViewer } } }`;

let scene: Scene;
let ada: Person;
let mallory: Person;

const users = (...ids: string[]) => ({ representations: ids.map((id) => ({ __typename: 'User', id })) });

beforeAll(async () => {
  scene = await aScene();
  [ada, mallory] = [await scene.founder('Ada'), await scene.founder('Mallory')];
});

describe('User entities', () => {
  it('answer in the order asked, with null for absent, malformed and foreign ids alike', async () => {
    const grace = await scene.colleague(ada);
    const ids = [grace.user.id, ABSENT, mallory.user.id, 'not-a-uuid', ada.user.id];
    const { _entities } = await scene.user.ask(ada.viewer, ENTITIES, users(...ids));
    expect(_entities).toMatchObject([
      ...[{ id: grace.user.id, isViewer: false }, null, null, null],
      { id: ada.user.id, isViewer: true },
    ]);
    const foreign = await scene.user.send(ada.viewer, ENTITIES, users(mallory.user.id));
    const absent = await scene.user.send(ada.viewer, ENTITIES, users(ABSENT));
    expect(bytesOf(foreign)).toBe(bytesOf(absent));
  });

  it('belong to whoever asks, when two tenants ask for each other in the same moment', async () => {
    const rounds = Array.from({ length: 50 }, (_, n) =>
      n % 2 === 0
        ? scene.user.ask(ada.viewer, ENTITIES, users(mallory.user.id, ada.user.id))
        : scene.user.ask(mallory.viewer, ENTITIES, users(ada.user.id, mallory.user.id)),
    );
    for (const [n, { _entities }] of (await Promise.all(rounds)).entries()) {
      expect(_entities).toMatchObject([null, { id: (n % 2 === 0 ? ada : mallory).user.id }]);
    }
  });

  it('show a GUEST whom a thing that was shared with them refers to', async () => {
    const guest = await scene.colleague(ada, 'GUEST');
    const { _entities } = await scene.user.ask(guest.viewer, ENTITIES, users(ada.user.id));
    expect(_entities).toMatchObject([{ id: ada.user.id, name: 'Ada' }]);
  });

  it('take one statement for 1, 10 and 100 people', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 100; n++) {
      const id = randomUUID();
      ids.push(id);
      await scene.sql(`insert into accounts (id, email, password_hash) values ($1, $2, 'x')`, [
        id,
        `${id}@x.test`,
      ]);
      await scene.sql(
        `insert into members (org_id, id, name, email, role) values ($1, $2, 'N', $3, 'MEMBER')`,
        [ada.viewer.orgId, id, `${id}@x.test`],
      );
    }
    const counts: number[] = [];
    for (const size of [1, 10, 100]) {
      scene.user.statements.length = 0;
      const { _entities } = await scene.user.ask(ada.viewer, ENTITIES, users(...ids.slice(0, size)));
      expect(_entities.filter(Boolean)).toHaveLength(size);
      counts.push(scene.user.statements.length);
    }
    expect(counts).toEqual([1, 1, 1]);
  });

  it('are refused without a context', async () => {
    expect(await scene.user.send(null, ENTITIES, users(ada.user.id))).toMatchObject({ status: 401 });
  });
});
