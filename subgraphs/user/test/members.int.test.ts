import { randomUUID } from 'node:crypto';
import { createLog } from '@taskflow/kit/log';
import { createRedis } from '@taskflow/kit/redis';
import { bytesOf } from '@taskflow/tests/kit/client';
import { until } from '@taskflow/tests/kit/until';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readUserConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';
import {
  ABSENT,
  ACCEPT,
  anEmail,
  aScene,
  ERRORS,
  LOGIN,
  PASSWORD,
  type Person,
  REFRESH,
  type Scene,
} from './scene.ts';

const USER = 'user { id name role status version archivedAt }';
const change = (field: string, inputType: string) =>
  `mutation ($input: ${inputType}!) { ${field}(input: $input) { ${ERRORS} syncId ${USER} } }`;
const MUTATIONS = {
  userRoleChange: change('userRoleChange', 'UserRoleChangeInput'),
  userSuspend: change('userSuspend', 'UserSuspendInput'),
  userReinstate: change('userReinstate', 'UserReinstateInput'),
  userRemove: change('userRemove', 'UserRemoveInput'),
  organizationLeave: change('organizationLeave', 'OrganizationLeaveInput'),
};
type Field = keyof typeof MUTATIONS;

let scene: Scene;
let ada: Person;

beforeAll(async () => {
  scene = await aScene();
  ada = await scene.founder();
});

const send = (by: Person, field: Field, input: object, claims = {}) =>
  scene.user.send(by.viewer, MUTATIONS[field], { input }, claims);
async function act(by: Person, field: Field, input: object = {}, claims = {}) {
  const answer = await send(by, field, input, claims);
  if (answer.errors.length > 0) throw new Error(answer.text);
  return (answer.data as Record<string, unknown>)[field] as Outcome;
}
interface Outcome {
  success: boolean;
  userErrors: { code: string; field: string | null; message: string }[];
  syncId: string | null;
  user: { id: string; role: string; status: string; version: number; archivedAt: string | null } | null;
}
const codeOf = ({ success, userErrors }: Outcome) => (success ? 'SUCCESS' : userErrors[0]?.code);
const inputFor = (field: Field, { user }: Person) =>
  field === 'organizationLeave' ? {} : { id: user.id, ...(field === 'userRoleChange' && { role: 'GUEST' }) };
const asAdmin = (boss: Person) => scene.colleague(boss, 'ORG_ADMIN');
const login = ({ email }: Person) => scene.send(LOGIN, { email, password: PASSWORD });
const refresh = ({ refreshToken }: Person) => scene.send(REFRESH, { refreshToken });
const activeAdmins = (orgId: string) =>
  scene.sql(`select from members where org_id = $1 and role = 'ORG_ADMIN' and status = 'ACTIVE'`, [orgId]);
const lastFact = async (orgId: string) =>
  (
    await scene.sql<{ envelope: Record<string, unknown> }>(
      'select envelope from outbox where org_id = $1 order by id desc limit 1',
      [orgId],
    )
  )[0]?.envelope;
const lastAudit = async (orgId: string) =>
  (
    await scene.sql<Record<string, unknown>>(
      `select e.action, e.target_type, e.target_id, e.actor_id, d.details from audit_entries e
         join audit_details d on d.org_id = e.org_id and d.entry_id = e.id
         where e.org_id = $1 order by e.id desc limit 1`,
      [orgId],
    )
  )[0];

describe('who changes members', () => {
  const OTHERS = ['userRoleChange', 'userSuspend', 'userReinstate', 'userRemove'] as const;

  it.each(OTHERS)(
    '%s is FORBIDDEN to everybody but an ORG_ADMIN, and a guest finds nobody',
    async (field) => {
      const target = await scene.colleague(ada);
      for (const [role, code] of [
        ['MANAGER', 'FORBIDDEN'],
        ['MEMBER', 'FORBIDDEN'],
        ['GUEST', 'NOT_FOUND'],
      ] as const) {
        const outcome = await act(await scene.colleague(ada, role), field, inputFor(field, target));
        expect(outcome).toMatchObject({ success: false, user: null, userErrors: [{ code }] });
      }
      const [row] = await scene.sql('select role, status, epoch from members where id = $1', [
        target.user.id,
      ]);
      expect(row).toEqual({ role: 'MEMBER', status: 'ACTIVE', epoch: 1 });
    },
  );

  it.each(OTHERS)(
    '%s finds nobody by a foreign, an absent or a malformed id, byte for byte',
    async (field) => {
      const stranger = await scene.founder('Eve');
      const guest = await scene.colleague(ada, 'GUEST');
      const answers = await Promise.all(
        [stranger.user.id, ABSENT, 'nonsense', `${ABSENT}\0`].map((id) =>
          send(ada, field, { ...inputFor(field, ada), id }),
        ),
      );
      const unseen = await send(guest, field, inputFor(field, ada));
      expect(new Set([...answers, unseen].map(bytesOf)).size).toBe(1);
      expect(unseen.text).toContain('NOT_FOUND');
      const [row] = await scene.sql('select version from members where id = $1', [stranger.user.id]);
      expect(row).toEqual({ version: 1 });
    },
  );

  it('is judged by the role that is stored, not by the one of the token', async () => {
    const former = await asAdmin(ada);
    await act(ada, 'userRoleChange', { id: former.user.id, role: 'MEMBER' });
    expect(former.viewer.role).toBe('ORG_ADMIN');
    const target = await scene.colleague(ada);
    for (const field of OTHERS) {
      expect(codeOf(await act(former, field, inputFor(field, target)))).toBe('FORBIDDEN');
    }
  });

  it('is said of each person beforehand', async () => {
    const boss = await scene.founder('Boss');
    const grace = await scene.colleague(boss);
    const CAN = 'viewerCanChangeRole viewerCanSuspend viewerCanRemove';
    const query = `{ users { nodes { isViewer ${CAN} } } }`;
    const asked = async (by: Person) => (await scene.user.ask(by.viewer, query)).users.nodes;
    const can = (role: boolean, suspend: boolean, remove: boolean) => ({
      ...{ viewerCanChangeRole: role, viewerCanSuspend: suspend, viewerCanRemove: remove },
    });
    expect(await asked(boss)).toMatchObject([can(false, false, false), can(true, true, true)]);
    expect(await asked(grace)).toMatchObject([can(false, false, false), can(false, false, false)]);
    const key = { ...boss, viewer: { ...boss.viewer, scopes: ['READ', 'WRITE'] as const } };
    expect(await asked(key)).toMatchObject([can(false, false, false), can(false, false, false)]);
    await act(boss, 'userRoleChange', { id: grace.user.id, role: 'ORG_ADMIN' });
    expect(await asked(boss)).toMatchObject([can(true, false, true), can(true, true, true)]);
    await act(boss, 'userSuspend', { id: grace.user.id });
    expect(await asked(boss)).toMatchObject([can(false, false, false), can(true, true, true)]);
    await act(boss, 'userRemove', { id: grace.user.id });
    expect(await asked(boss)).toMatchObject([can(false, false, false), can(false, false, false)]);
  });

  it('costs a list of people two statements more, however long it is', async () => {
    const boss = await scene.founder('Boss');
    const count = async () => {
      scene.user.statements.length = 0;
      await scene.user.ask(boss.viewer, '{ users { nodes { viewerCanRemove viewerCanSuspend } } }');
      return scene.user.statements.length;
    };
    const alone = await count();
    for (let n = 0; n < 3; n += 1) await scene.colleague(boss);
    expect(await count()).toBe(alone);
  });
});

describe('userRoleChange', () => {
  it('raises the epoch, tells the others, and leaves a line in the audit log', async () => {
    const grace = await scene.colleague(ada);
    const { user, syncId } = await act(ada, 'userRoleChange', { id: grace.user.id, role: 'MANAGER' });
    expect(user).toMatchObject({ id: grace.user.id, role: 'MANAGER', status: 'ACTIVE', version: 2 });
    const fact = await lastFact(ada.viewer.orgId);
    expect(fact).toMatchObject({
      ...{ type: 'member.updated', aggregate: { id: grace.user.id, version: 2 } },
      ...{ actor: { userId: ada.user.id }, before: { role: 'MEMBER' }, after: { role: 'MANAGER' } },
    });
    expect(syncId).toBe(`user.${fact?.id}`);
    expect(await lastAudit(ada.viewer.orgId)).toMatchObject({
      ...{ action: 'member.role-changed', target_type: 'member', target_id: grace.user.id },
      actor_id: ada.user.id,
    });
    const refreshed = scene.viewerOf(await refresh(grace));
    expect(refreshed).toMatchObject({ role: 'MANAGER', sessionId: grace.viewer.sessionId });
  });

  it('writes nothing for the role that the person has', async () => {
    const grace = await scene.colleague(ada);
    const outcome = await act(ada, 'userRoleChange', { id: grace.user.id, role: 'MEMBER' });
    expect(outcome).toMatchObject({ success: true, syncId: null, user: { version: 1 } });
  });

  it('is a ConflictError for who has read an older version', async () => {
    const grace = await scene.colleague(ada);
    await act(ada, 'userRoleChange', { id: grace.user.id, role: 'GUEST', expectedVersion: 1 });
    const { data } = await scene.user.send(
      ada.viewer,
      `mutation ($input: UserRoleChangeInput!) { userRoleChange(input: $input) { success userErrors {
         code ... on ConflictError { changedFields current { ... on User { id role version } } } } } }`,
      { input: { id: grace.user.id, role: 'MANAGER', expectedVersion: 1 } },
    );
    expect(data?.userRoleChange).toEqual({
      success: false,
      userErrors: [
        {
          ...{ code: 'CONFLICT', changedFields: ['role'] },
          current: { id: grace.user.id, role: 'GUEST', version: 2 },
        },
      ],
    });
  });

  it('answers a repeated request without doing it again', async () => {
    const grace = await scene.colleague(ada);
    const claims = { idempotencyKey: randomUUID() };
    const input = { id: grace.user.id, role: 'MANAGER' };
    const first = await act(ada, 'userRoleChange', input, claims);
    await act(ada, 'userRoleChange', { id: grace.user.id, role: 'GUEST' });
    const again = await act(ada, 'userRoleChange', input, claims);
    expect(again).toMatchObject({ success: true, syncId: first.syncId, user: { role: 'GUEST' } });
  });
});

describe('userSuspend', () => {
  it('ends the sessions, and login and refresh are refused like anything wrong, until userReinstate', async () => {
    const grace = await scene.colleague(ada);
    const wrong = await scene.send(LOGIN, { email: anEmail(), password: PASSWORD });
    const garbage = await scene.send(REFRESH, { refreshToken: 'rt_garbage' });
    const { user } = await act(ada, 'userSuspend', { id: grace.user.id });
    expect(user).toMatchObject({ status: 'SUSPENDED', archivedAt: null, version: 2 });
    expect(bytesOf(await login(grace))).toBe(bytesOf(wrong));
    expect(bytesOf(await refresh(grace))).toBe(bytesOf(garbage));
    const sessions = await scene.sql('select revoked_reason from sessions where user_id = $1', [
      grace.user.id,
    ]);
    expect(sessions).toEqual([{ revoked_reason: 'MEMBER_CHANGED' }]);
    expect(await lastAudit(ada.viewer.orgId)).toMatchObject({ action: 'member.suspended' });

    const back = await act(ada, 'userReinstate', { id: grace.user.id });
    expect(back.user).toMatchObject({ status: 'ACTIVE', role: 'MEMBER', version: 3 });
    expect((await login(grace)).auth.success).toBe(true);
    expect(bytesOf(await refresh(grace))).toBe(bytesOf(garbage));
  });

  it('writes nothing the second time, and nor does userReinstate', async () => {
    const grace = await scene.colleague(ada);
    for (const [field, syncs] of [
      ['userReinstate', [false]],
      ['userSuspend', [true, false]],
      ['userReinstate', [true, false]],
    ] as const) {
      for (const isWritten of syncs) {
        const { success, syncId } = await act(ada, field, { id: grace.user.id });
        expect([success, syncId !== null]).toEqual([true, isWritten]);
      }
    }
  });

  it('is not for oneself', async () => {
    const boss = await scene.founder('Boss');
    await asAdmin(boss);
    expect(codeOf(await act(boss, 'userSuspend', { id: boss.user.id }))).toBe('FORBIDDEN');
  });
});

describe('userRemove and organizationLeave', () => {
  it.each(['userRemove', 'organizationLeave'] as const)(
    '%s ends the sessions, keeps the person readable, and lets nobody change them again',
    async (field) => {
      const grace = await scene.colleague(ada);
      const outcome = await act(field === 'userRemove' ? ada : grace, field, inputFor(field, grace));
      expect(outcome.user).toMatchObject({ status: 'REMOVED', archivedAt: expect.any(String), version: 2 });
      expect((await login(grace)).auth.userErrors).toMatchObject([{ code: 'INVALID_CREDENTIALS' }]);
      expect((await refresh(grace)).auth.userErrors).toMatchObject([{ code: 'INVALID_CREDENTIALS' }]);
      expect(await lastFact(ada.viewer.orgId)).toMatchObject({ after: { status: 'REMOVED' } });
      const listed = await scene.user.ask(
        ...([
          ada.viewer,
          `query ($id: String!) { users(filter: { email: { eq: $id } }) { nodes { id } } }`,
        ] as const),
        { id: grace.email },
      );
      expect(listed.users.nodes).toEqual([{ id: grace.user.id }]);
      for (const later of ['userSuspend', 'userReinstate', 'userRoleChange'] as const) {
        expect(codeOf(await act(ada, later, inputFor(later, grace)))).toBe('CONFLICT');
      }
      const again = await act(ada, 'userRemove', { id: grace.user.id });
      expect(again).toMatchObject({ success: true, syncId: null, user: { version: 2 } });
    },
  );

  it('are told apart in the audit log', async () => {
    const [grace, alan] = [await scene.colleague(ada), await scene.colleague(ada)];
    await act(ada, 'userRemove', { id: grace.user.id });
    const removed = await lastAudit(ada.viewer.orgId);
    expect(removed).toMatchObject({ action: 'member.removed', actor_id: ada.user.id });
    expect(JSON.parse(String(removed?.details))).toMatchObject({
      ...{ before: { status: 'ACTIVE' }, after: { status: 'REMOVED' } },
    });
    await act(alan, 'organizationLeave');
    expect(await lastAudit(ada.viewer.orgId)).toMatchObject({
      ...{ action: 'member.left', actor_id: alan.user.id },
    });
  });

  it('let a suspended person be removed as well', async () => {
    const grace = await scene.colleague(ada);
    await act(ada, 'userSuspend', { id: grace.user.id });
    expect(codeOf(await act(ada, 'userRemove', { id: grace.user.id }))).toBe('SUCCESS');
  });

  it('let who is invited again come back as themselves, with no session of before', async () => {
    const grace = await scene.colleague(ada, 'MANAGER');
    await act(ada, 'userRemove', { id: grace.user.id });
    const token = await scene.invite(ada, grace.email, 'MEMBER');
    const { auth } = await scene.send(ACCEPT, { token, name: 'Grace H.', password: PASSWORD });
    expect(auth.user).toMatchObject({ id: grace.user.id, role: 'MEMBER', status: 'ACTIVE', version: 3 });
    expect((await refresh(grace)).auth.success).toBe(false);
    expect((await refresh(auth as Person)).auth.success).toBe(true);
  });
});

describe('the last ORG_ADMIN who can sign in', () => {
  it.each(['organizationLeave', 'userRemove', 'userRoleChange'] as const)(
    'stays one: %s is a CONFLICT',
    async (field) => {
      const boss = await scene.founder('Boss');
      await scene.colleague(boss);
      const suspended = await asAdmin(boss);
      await act(boss, 'userSuspend', { id: suspended.user.id });
      expect(await act(boss, field, inputFor(field, boss))).toMatchObject({
        ...{ success: false, user: null, userErrors: [{ code: 'CONFLICT' }] },
      });
      expect(await activeAdmins(boss.viewer.orgId)).toHaveLength(1);
      await act(boss, 'userReinstate', { id: suspended.user.id });
      expect(codeOf(await act(boss, field, inputFor(field, boss)))).toBe('SUCCESS');
      expect(await activeAdmins(boss.viewer.orgId)).toHaveLength(1);
    },
  );

  it.each([
    ['remove each other', ['userRemove', 'userRemove']],
    ['suspend each other', ['userSuspend', 'userSuspend']],
    ['demote each other', ['userRoleChange', 'userRoleChange']],
    ['leave', ['organizationLeave', 'organizationLeave']],
    ['remove the other one and leave', ['userRemove', 'organizationLeave']],
  ] as const)('is left when two %s at the same moment', async (_what, fields) => {
    for (let round = 0; round < 8; round += 1) {
      const boss = await scene.founder('Boss');
      const admins = [boss, await asAdmin(boss)] as const;
      const outcomes = await Promise.all(
        fields.map((field, n) => act(admins[n] as Person, field, inputFor(field, admins[1 - n] as Person))),
      );
      expect(await activeAdmins(boss.viewer.orgId)).toHaveLength(1);
      const done = outcomes.filter(({ syncId }) => syncId !== null);
      expect(done).toHaveLength(1);
    }
  });

  it('is left when ten of them leave and remove at the same moment', async () => {
    const boss = await scene.founder('Boss');
    const admins = [boss];
    while (admins.length < 10) admins.push(await asAdmin(boss));
    await Promise.all(
      admins.map((admin, n) =>
        n % 2 === 0
          ? act(admin, 'organizationLeave')
          : act(admin, 'userRemove', { id: (admins[(n + 1) % 10] as Person).user.id }),
      ),
    );
    expect((await activeAdmins(boss.viewer.orgId)).length).toBeGreaterThanOrEqual(1);
    const left = admins.map((admin) => act(admin, 'organizationLeave').catch(() => null));
    await Promise.all(left);
    expect(await activeAdmins(boss.viewer.orgId)).toHaveLength(1);
  });
});

describe('the routers', () => {
  it('are told where a member stands after each change', async () => {
    const redis = createRedis({ ...scene.redis, log: createLog({ process: 'test', level: 'silent' }) });
    afterAll(() => redis.close());
    await redis.whenReady();
    const grace = await scene.colleague(ada);
    const standing = () => redis.commands.get(redis.keys.memberStanding(ada.viewer.orgId, grace.user.id));
    const id = grace.user.id;
    await act(ada, 'userRoleChange', { id, role: 'MANAGER' });
    expect(await standing()).toBe('2 ACTIVE');
    await act(ada, 'userSuspend', { id });
    expect(await standing()).toBe('3 SUSPENDED');
    await act(ada, 'userReinstate', { id });
    expect(await standing()).toBe('4 ACTIVE');
    await act(grace, 'organizationLeave');
    expect(await standing()).toBe('5 SUSPENDED');
    const token = await scene.invite(ada, grace.email);
    await scene.send(ACCEPT, { token, name: 'Grace', password: PASSWORD });
    expect(await standing()).toBe('6 ACTIVE');
  });
});

describe('a service that died between the commit and telling', () => {
  it('is made up for by whichever starts next: members and organisations', async () => {
    const { redis, user } = scene;
    const [grace, eve] = [await scene.colleague(ada), await scene.founder('Eve')];
    // What the transactions of userSuspend and of the fact organization.suspended leave, without what follows them.
    await scene.sql(
      `update members set status = 'SUSPENDED', epoch = epoch + 1, version = version + 1, updated_at = now() where id = $1`,
      [grace.user.id],
    );
    await scene.sql(
      `update organizations set suspended_at = now(), version = version + 1, updated_at = now() where org_id = $1`,
      [eve.viewer.orgId],
    );
    const connections = createRedis({ ...redis, log: createLog({ process: 'test', level: 'silent' }) });
    const { database } = user;
    const next = createService(
      readUserConfig({
        ...{ LOG_LEVEL: 'silent', USER_PORT: '0', REDIS_URL: redis.url },
        ...{ USER_DATABASE_URL: database.appUrl, USER_SYSTEM_DATABASE_URL: database.systemUrl },
      }),
      { redisPrefix: redis.prefix },
    );
    onTestFinished(async () => {
      await next.stop();
      await connections.close();
    });
    await connections.whenReady();
    const { commands, keys } = connections;
    const standings = () =>
      Promise.all([
        commands.get(keys.memberStanding(ada.viewer.orgId, grace.user.id)),
        commands.get(keys.organizationStanding(eve.viewer.orgId)),
      ]);
    expect(await standings()).toEqual([null, null]);
    await next.start();
    await until('both to be told', async () => (await standings()).every((standing) => standing !== null));
    expect(await standings()).toEqual(['2 SUSPENDED', '2 SUSPENDED']);
  });
});

describe('a refresh beside a removal', () => {
  it('never stands in its way: each is done or refused, and afterwards nothing refreshes', async () => {
    for (let round = 0; round < 6; round += 1) {
      const grace = await scene.colleague(ada);
      const again = [grace, (await login(grace)).auth as Person, (await login(grace)).auth as Person];
      const [removal, ...refreshes] = await Promise.all([
        send(ada, 'userRemove', { id: grace.user.id }),
        ...again.flatMap((session) => [refresh(session), refresh(session)]),
      ]);
      expect(removal.errors).toEqual([]);
      for (const { errors, auth } of refreshes) {
        expect(errors).toEqual([]);
        if (!auth.success) continue;
        expect((await refresh(auth as Person)).auth.success).toBe(false);
      }
    }
  });
});
