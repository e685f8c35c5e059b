/** One person in several organisations. */
import { makeFact } from '@taskflow/schema/events';
import { bytesOf } from '@taskflow/tests/kit/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { ABSENT, ACCEPT, AUTH, aScene, LOGIN, PASSWORD, type Person, REFRESH, type Scene } from './scene.ts';

const MEMBERSHIPS = `{ viewer { memberships { organizationId organizationName role status isOrganizationSuspended
  isCurrent viewerCanSwitch joinedAt } } }`;
const SWITCH = `mutation ($input: SessionSwitchOrganizationInput!) { sessionSwitchOrganization(input: $input) { ${AUTH} } }`;

let scene: Scene;

beforeAll(async () => {
  scene = await aScene();
});

/** Bob has founded an organisation, and is a guest in Ada's. */
async function bobInTwo(): Promise<{ ada: Person; bob: Person }> {
  const [ada, bob] = [await scene.founder('Ada'), await scene.founder('Bob')];
  const token = await scene.invite(ada, bob.email, 'GUEST');
  const { auth } = await scene.send(ACCEPT, { token, name: 'Bob', password: PASSWORD });
  expect(auth.success).toBe(true);
  return { ada, bob };
}
const membershipsOf = async ({ viewer }: Person) =>
  (await scene.user.ask(viewer, MEMBERSHIPS)).viewer.memberships;
async function switchTo(person: Person, organizationId: string) {
  const answer = await scene.user.send(person.viewer, SWITCH, { input: { organizationId } });
  return {
    ...answer,
    auth: (answer.data as { sessionSwitchOrganization: Person }).sessionSwitchOrganization,
  };
}
const suspend = (orgId: string) =>
  scene.sql('update organizations set suspended_at = now(), version = version + 1 where org_id = $1', [
    orgId,
  ]);

describe('memberships', () => {
  it('name the organisations of the viewer in the order of joining, with the role in each', async () => {
    const { ada, bob } = await bobInTwo();
    expect(await membershipsOf(bob)).toMatchObject([
      {
        ...{
          organizationId: bob.viewer.orgId,
          organizationName: 'Bob & Co',
          role: 'ORG_ADMIN',
          status: 'ACTIVE',
        },
        ...{ isCurrent: true, viewerCanSwitch: true, isOrganizationSuspended: false },
      },
      {
        ...{
          organizationId: ada.viewer.orgId,
          organizationName: 'Ada & Co',
          role: 'GUEST',
          status: 'ACTIVE',
        },
        ...{ isCurrent: false, viewerCanSwitch: true, isOrganizationSuspended: false },
      },
    ]);
  });

  it('are nobody else’s to see, an ORG_ADMIN’s neither', async () => {
    const { ada, bob } = await bobInTwo();
    const { users } = await scene.user.ask(
      ada.viewer,
      '{ users { nodes { id memberships { organizationId } } } }',
    );
    expect(users.nodes).toEqual([
      { id: ada.user.id, memberships: [{ organizationId: ada.viewer.orgId }] },
      { id: bob.user.id, memberships: null },
    ]);
  });

  it('show where the person is suspended or the organisation is, and not where they were removed', async () => {
    const { ada, bob } = await bobInTwo();
    const change = (what: string) =>
      scene.sql(`update members set ${what} where org_id = $1 and id = $2`, [ada.viewer.orgId, bob.user.id]);
    await change(`status = 'SUSPENDED'`);
    expect((await membershipsOf(bob))[1]).toMatchObject({ status: 'SUSPENDED', viewerCanSwitch: false });
    await change(`status = 'ACTIVE'`);
    await suspend(ada.viewer.orgId);
    expect((await membershipsOf(bob))[1]).toMatchObject({
      isOrganizationSuspended: true,
      viewerCanSwitch: false,
    });
    await change(`status = 'REMOVED', archived_at = now()`);
    expect(await membershipsOf(bob)).toHaveLength(1);
  });

  it('follow the name that org tells, once, and the newest whatever the order', async () => {
    const { ada, bob } = await bobInTwo();
    const { orgId } = ada.viewer;
    const renamed = (name: string, version: number) =>
      makeFact({
        ...{
          type: 'organization.updated',
          orgId,
          aggregate: { id: orgId, version },
          actor: { userId: ada.user.id },
        },
        ...{ requestId: 'test', before: { name: 'Ada & Co', taskVisibility: 'ASSIGNED', status: 'ACTIVE' } },
        after: { name, taskVisibility: 'ASSIGNED', status: 'ACTIVE' },
      });
    const [newest, late] = [renamed('Countess', 3), renamed('Analytical Engines', 2)];
    await scene.user.deliver(newest, late, newest);
    await scene.user.settled(newest, late);
    expect((await membershipsOf(bob))[1]).toMatchObject({ organizationName: 'Countess' });
    expect((await membershipsOf(bob))[0]).toMatchObject({ organizationName: 'Bob & Co' });
  });
});

describe('sessionSwitchOrganization', () => {
  it('opens a session in another organisation, with the role of there, and leaves the present one', async () => {
    const { ada, bob } = await bobInTwo();
    const answer = await switchTo(bob, ada.viewer.orgId);
    expect(answer.auth).toMatchObject({
      success: true,
      syncId: null,
      user: { id: bob.user.id, role: 'GUEST' },
    });
    const viewer = scene.viewerOf(answer);
    expect(viewer).toMatchObject({ orgId: ada.viewer.orgId, userId: bob.user.id, role: 'GUEST' });
    const [line] = await scene.sql(
      `select org_id, actor_id from audit_entries where action = 'login.succeeded' and session_id = $1`,
      [viewer.sessionId],
    );
    expect(line).toEqual({ org_id: viewer.orgId, actor_id: bob.user.id });
    const refreshed = await scene.send(REFRESH, { refreshToken: answer.auth.refreshToken });
    expect(scene.viewerOf(refreshed)).toEqual(viewer);
    expect((await scene.send(REFRESH, { refreshToken: bob.refreshToken })).auth.success).toBe(true);
  });

  it('is where the next login goes', async () => {
    const { ada, bob } = await bobInTwo();
    for (const { viewer } of [bob, ada, bob]) {
      await switchTo(bob, viewer.orgId);
      const login = await scene.send(LOGIN, { email: bob.email, password: PASSWORD });
      expect(scene.viewerOf(login).orgId).toBe(viewer.orgId);
    }
  });

  it('refuses absent, malformed, foreign, left and suspended alike, and changes nothing', async () => {
    const { ada, bob } = await bobInTwo();
    const carl = await scene.founder('Carl');
    const before = await scene.sql('select last_org_id from accounts where id = $1', [bob.user.id]);
    const answers = [];
    for (const id of [ABSENT, 'garbage', '', carl.viewer.orgId]) answers.push(await switchTo(bob, id));
    for (const status of ['SUSPENDED', 'REMOVED']) {
      await scene.sql(
        `update members set status = $1, archived_at = case when $1 = 'REMOVED' then now() end where org_id = $2 and id = $3`,
        [status, ada.viewer.orgId, bob.user.id],
      );
      answers.push(await switchTo(bob, ada.viewer.orgId));
    }
    await scene.sql(
      `update members set status = 'ACTIVE', archived_at = null where org_id = $1 and id = $2`,
      [...[ada.viewer.orgId, bob.user.id]],
    );
    await suspend(ada.viewer.orgId);
    answers.push(await switchTo(bob, ada.viewer.orgId));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(answers[0]?.auth).toMatchObject({ userErrors: [{ code: 'NOT_FOUND', field: 'organizationId' }] });
    expect(answers[0]?.headers.get('taskflow-established')).toBeNull();
    expect(await scene.sql('select last_org_id from accounts where id = $1', [bob.user.id])).toEqual(before);
  });
});

describe('a suspended organisation', () => {
  it('lets nobody in: neither login, nor refresh, nor an invite', async () => {
    const { ada, bob } = await bobInTwo();
    const invite = await scene.invite(ada, 'newcomer@acme.test');
    await suspend(ada.viewer.orgId);
    const wrong = await scene.send(LOGIN, { email: ada.email, password: 'wrong password' });
    expect(bytesOf(await scene.send(LOGIN, { email: ada.email, password: PASSWORD }))).toBe(bytesOf(wrong));
    const garbage = await scene.send(REFRESH, { refreshToken: 'garbage' });
    expect(bytesOf(await scene.send(REFRESH, { refreshToken: ada.refreshToken }))).toBe(bytesOf(garbage));
    const { auth } = await scene.send(ACCEPT, { token: invite, name: 'Newcomer', password: PASSWORD });
    expect(auth.userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect(scene.viewerOf(await scene.send(LOGIN, { email: bob.email, password: PASSWORD })).orgId).toBe(
      bob.viewer.orgId,
    );
    await scene.sql('update organizations set suspended_at = null where org_id = $1', [ada.viewer.orgId]);
    expect((await scene.send(REFRESH, { refreshToken: ada.refreshToken })).auth.success).toBe(true);
  });
});
