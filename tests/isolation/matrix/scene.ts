/**
 * Two organisations with people of each role and things of each kind: some that a role sees, some that it does not.
 *
 *   team Managed (MANAGER leads it, MEMBER and ORG_ADMIN are in it, STRANGER has left it)
 *     └ project Near ─ a task for each role, assigned to it
 *   team Other, below Managed (STRANGER is in it)
 *     └ project Far ─ a task of STRANGER's, seen by ORG_ADMIN alone
 *   each person has a notice in their inbox; one task is deleted, which nobody sees any more
 */
import { randomBytes } from 'node:crypto';
import type { TestClient } from '../../kit/client.ts';
import {
  aMember,
  anOrg,
  aProject,
  aTask,
  aTeam,
  changeTask,
  joinsTeam,
  PASSWORD,
  type TestPerson,
  type TestRole,
} from '../../kit/seed.ts';
import { until } from '../../kit/until.ts';
import type { Mine, Thing } from '../rules/rule.ts';

export const PERSON_ROLES = ['ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST'] as const;

export interface Scene {
  readonly orgId: string;
  readonly people: Readonly<Record<TestRole, TestPerson>>;
  /** A colleague whom the others have nothing to do with. */
  readonly stranger: TestPerson;
  /** Made by the ORG_ADMIN, with the scopes READ and WRITE. */
  readonly apiKey: string;
  /** The example's things, for one role. */
  mineOf(role: TestRole): Mine;
  /** A thing of this tenant that the role does not see; null when it sees all of the kind. */
  invisible(thing: Thing, role: TestRole): string | null;
  /** All things that the role must not find in any answer. */
  invisibleIds(role: TestRole): Set<string>;
  /** A colleague does something to the role's own thing, which is told to who listens. */
  stir(thing: Thing, role: TestRole): Promise<unknown>;
  /** A person of their own, for a call that changes its caller. */
  newcomer(role: TestRole): Promise<TestPerson>;
  /** Another session of a person. */
  session(person: TestPerson): Promise<{ accessToken: string; refreshToken: string }>;
}

/** `name` stands in every name and title, so that a stray one is noticed. */
export async function aScene(client: TestClient, name: string): Promise<Scene> {
  const admin = await anOrg(client, name);
  const [manager, member, guest, stranger] = await Promise.all([
    aMember(admin, 'MANAGER', name),
    aMember(admin, 'MEMBER', name),
    aMember(admin, 'GUEST', name),
    aMember(admin, 'MEMBER', name),
  ]);
  const people = { ORG_ADMIN: admin, MANAGER: manager, MEMBER: member, GUEST: guest };
  const managed = await aTeam(admin, { name: `${name} managed` });
  const other = await aTeam(admin, { name: `${name} other`, parentTeamId: managed.id });
  await Promise.all([
    joinsTeam(admin, managed.id, manager, 'MANAGER'),
    joinsTeam(admin, managed.id, member),
    joinsTeam(admin, managed.id, admin),
    joinsTeam(admin, other.id, stranger),
    joinsTeam(admin, managed.id, stranger),
  ]);
  await admin.client.ask(
    'mutation Leave($input: TeamMemberRemoveInput!) { teamMemberRemove(input: $input) { success userErrors { code } } }',
    { input: { teamId: managed.id, userId: stranger.id } },
  );
  const near = await aProject(admin, { name: `${name} near`, teamIds: [managed.id] });
  const far = await aProject(admin, { name: `${name} far`, teamIds: [other.id] });
  const task = (by: TestPerson, projectId: string, assignee: TestPerson) =>
    aTask(by, { title: `${name} task`, projectId, assigneeId: assignee.id }).then(({ id }) => id);

  const tasks = {
    ORG_ADMIN: await task(member, near.id, admin),
    MANAGER: await task(admin, near.id, manager),
    MEMBER: await task(admin, near.id, member),
    GUEST: await task(admin, near.id, guest),
  };
  // Somebody who has left, and is known by what they did.
  const former = await aMember(admin, 'MEMBER', name);
  await task(former, near.id, guest);
  await admin.client.ask(
    'mutation Remove($id: ID!) { userRemove(input: { id: $id }) { success userErrors { code } } }',
    { id: former.id },
  );
  const farTask = await task(admin, far.id, stranger);
  const deletedTask = await task(admin, far.id, stranger);
  await admin.client.ask(
    'mutation Delete($id: ID!) { taskDelete(input: { id: $id }) { success userErrors { code } } }',
    { id: deletedTask },
  );
  const notices = Object.fromEntries(
    await Promise.all(
      [...Object.entries(people), ['STRANGER', stranger] as const].map(
        async ([role, person]) => [role, await noticeOf(person)] as const,
      ),
    ),
  ) as Record<TestRole | 'STRANGER', string>;

  const invite = async () => {
    const { inviteCreate } = await admin.client.ask<{
      inviteCreate: { token: string; invite: { id: string } };
    }>(
      'mutation Invite($input: InviteCreateInput!) { inviteCreate(input: $input) { success token invite { id } } }',
      { input: { email: `${unique('invited')}@acme.test`, role: 'MEMBER' } },
    );
    return { token: inviteCreate.token, id: inviteCreate.invite.id };
  };
  const invites = { seen: (await invite()).id };
  const createKey = async (person: TestPerson, input: object) => {
    const { apiKeyCreate } = await person.client.ask<{
      apiKeyCreate: { secret: string; apiKey: { id: string } };
    }>(
      'mutation Key($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { success secret apiKey { id } } }',
      { input: { name: `${name} key`, ...input } },
    );
    return { secret: apiKeyCreate.secret, id: apiKeyCreate.apiKey.id };
  };
  const keyOf = async (person: TestPerson) => {
    const { id, secret } = await createKey(person, { scopes: ['READ'] });
    await client.as(secret).ask('{ viewer { id } }');
    return id;
  };
  const { secret: apiKey } = await createKey(admin, {
    scopes: ['READ', 'WRITE'],
    requestsPerMinute: 6_000,
  });
  const keys = Object.fromEntries(
    await Promise.all(
      Object.entries(people).map(async ([role, person]) => [role, await keyOf(person)] as const),
    ),
  ) as Record<TestRole, string>;
  const session = async ({ email, password }: TestPerson) => {
    const { login } = await client.ask<{ login: { accessToken: string; refreshToken: string } }>(
      'mutation Login($input: LoginInput!) { login(input: $input) { success accessToken refreshToken } }',
      { input: { email, password } },
    );
    return login;
  };

  /** What each role sees of each kind, what it does not, and how a new one is made. */
  const things: Record<Thing, KindOfThing> = {
    Organization: { own: () => admin.organizationId, invisible: () => null },
    AuditLog: { own: () => admin.organizationId, invisible: () => null },
    OrganizationUsage: { own: () => admin.organizationId, invisible: () => null },
    User: {
      own: () => member.id,
      invisible: (role) => (role === 'GUEST' ? stranger.id : null),
      fresh: async () => {
        const somebody = await aMember(admin, 'MEMBER', name);
        await joinsTeam(admin, managed.id, somebody);
        return somebody.id;
      },
    },
    Invite: {
      own: () => invites.seen,
      invisible: (role) => (role === 'ORG_ADMIN' ? null : invites.seen),
      fresh: async () => (await invite()).id,
    },
    Session: {
      own: (role) => sessionIdOf(people[role]),
      invisible: () => sessionIdOf(stranger),
      fresh: async (role) => sessionIdOf(await session(people[role])),
    },
    Team: { own: () => managed.id, invisible: (role) => (role === 'GUEST' ? other.id : null) },
    Project: { own: () => near.id, invisible: (role) => (role === 'GUEST' ? far.id : null) },
    Task: {
      own: (role) => tasks[role],
      invisible: (role) => (role === 'ORG_ADMIN' ? deletedTask : farTask),
      fresh: (role) => task(role === 'GUEST' ? admin : people[role], near.id, people[role]),
      stir: (role) => changeTask(admin, { id: tasks[role], title: `${name} ${unique('task')}` }),
    },
    ApiKey: {
      own: (role) => keys[role],
      invisible: (role) => (role === 'ORG_ADMIN' ? null : keys.ORG_ADMIN),
      fresh: (role) => keyOf(people[role]),
    },
    Notification: {
      own: (role) => notices[role],
      invisible: () => notices.STRANGER,
      stir: (role) => task(role === 'ORG_ADMIN' ? member : admin, near.id, people[role]),
    },
  };

  return {
    orgId: admin.organizationId,
    people,
    stranger,
    apiKey,
    mineOf: (role) => ({
      own: (thing) => {
        if (!(thing in things)) throw new Error(`scene.ts has no ${thing}`);
        return things[thing].own(role);
      },
      fresh: (thing) => {
        const { fresh } = things[thing];
        if (!fresh) throw new Error(`scene.ts does not say how a new ${thing} is made`);
        return fresh(role);
      },
      unique,
      person: { id: people[role].id, email: people[role].email, password: PASSWORD },
      refreshToken: async () => (await session(people[role])).refreshToken,
      inviteToken: async () => (await invite()).token,
    }),
    invisible: (thing, role) => things[thing].invisible(role),
    invisibleIds: (role) =>
      new Set([
        ...Object.values(things).flatMap((kind) => kind.invisible(role) ?? []),
        ...(role === 'GUEST' ? [managed.id, other.id, near.id, far.id, stranger.id] : []),
      ]),
    async stir(thing, role) {
      const { stir } = things[thing];
      if (!stir) throw new Error(`scene.ts does not say what happens to a ${thing}`);
      await stir(role);
    },
    newcomer: (role) => aMember(admin, role, name),
    session,
  };
}

interface KindOfThing {
  own(role: TestRole): string;
  invisible(role: TestRole): string | null;
  fresh?(role: TestRole): Promise<string>;
  stir?(role: TestRole): Promise<unknown>;
}

export const unique = (prefix: string): string => `${prefix}${randomBytes(4).toString('hex')}`;

/** The `sid` of an access token. */
function sessionIdOf({ accessToken }: { accessToken: string }): string {
  const [, claims = ''] = accessToken.split('.');
  return JSON.parse(Buffer.from(claims, 'base64url').toString()).sid;
}

async function noticeOf(person: TestPerson): Promise<string> {
  return until('a notice in the inbox', async () => {
    const { notifications } = await person.client.ask<{ notifications: { nodes: { id: string }[] } }>(
      '{ notifications { nodes { id } } }',
    );
    return notifications.nodes[0]?.id;
  });
}
