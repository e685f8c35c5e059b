/** Scenes for tests, told as a story: each thing knows the next step. Names are unique, so that files may share a server. */
import { randomBytes } from 'node:crypto';
import type { TestClient } from './client.ts';
import { until } from './until.ts';

export interface TestPerson {
  id: string;
  name: string;
  email: string;
  password: string;
  accessToken: string;
  refreshToken: string;
  organizationId: string;
  /** Signed in as this person. */
  client: TestClient;
}

export type TestRole = 'ORG_ADMIN' | 'MANAGER' | 'MEMBER' | 'GUEST';

export const PASSWORD = 'correct horse battery';

const unique = () => randomBytes(5).toString('hex');

const AUTH = `success userErrors { code message field } accessToken refreshToken
  user { id name email }`;

interface AuthPayload {
  accessToken: string;
  refreshToken: string;
  user: { id: string; name: string; email: string };
}

/** The organisation is told of by a fact; a scene waits for it on however busy a machine. */
async function personOf(anybody: TestClient, payload: AuthPayload): Promise<TestPerson> {
  const { accessToken, refreshToken, user } = payload;
  const client = anybody.as(accessToken);
  const { viewer } = await until('the organisation', () =>
    client.ask<{ viewer: { organization: { id: string } } }>('{ viewer { organization { id } } }'),
  );
  return {
    ...{ ...user, password: PASSWORD, accessToken, refreshToken, client },
    organizationId: viewer.organization.id,
  };
}

/** Somebody founds an organisation. */
export async function anOrg(client: TestClient, name = 'Ada'): Promise<TestPerson> {
  const input = {
    ...{ email: `${name.toLowerCase()}-${unique()}@acme.test`, password: PASSWORD, name },
    organizationName: `Acme ${unique()}`,
  };
  const { register } = await client.ask<{ register: AuthPayload }>(
    `mutation Register($input: RegisterInput!) { register(input: $input) { ${AUTH} } }`,
    { input },
  );
  return personOf(client, register);
}

/** `inviter` invites somebody, who accepts. */
export async function aMember(
  inviter: TestPerson,
  role: TestRole = 'MEMBER',
  name = 'Grace',
): Promise<TestPerson> {
  const email = `${name.toLowerCase()}-${unique()}@acme.test`;
  const { inviteCreate } = await inviter.client.ask<{ inviteCreate: { token: string } }>(
    `mutation Invite($input: InviteCreateInput!) { inviteCreate(input: $input) { success token userErrors { code message } } }`,
    { input: { email, role } },
  );
  const { inviteAccept } = await inviter.client
    .as(null)
    .ask<{ inviteAccept: AuthPayload }>(
      `mutation Accept($input: InviteAcceptInput!) { inviteAccept(input: $input) { ${AUTH} } }`,
      { input: { token: inviteCreate.token, name, password: PASSWORD } },
    );
  return personOf(inviter.client, inviteAccept);
}

export interface Named {
  id: string;
  version: number;
}

export async function aTeam(
  by: TestPerson,
  input: { name?: string; parentTeamId?: string } = {},
): Promise<Named> {
  const { teamCreate } = await by.client.ask<{ teamCreate: { team: Named } }>(
    `mutation Team($input: TeamCreateInput!) { teamCreate(input: $input) { success userErrors { code message field } team { id version } } }`,
    { input: { name: `Team ${unique()}`, ...input } },
  );
  return teamCreate.team;
}

export async function joinsTeam(
  by: TestPerson,
  teamId: string,
  user: { id: string },
  role = 'MEMBER',
): Promise<void> {
  await until('the person to be known as a member', () =>
    by.client.ask(
      `mutation Join($input: TeamMemberAddInput!) { teamMemberAdd(input: $input) { success userErrors { code message field } teamMember { id } } }`,
      { input: { teamId, userId: user.id, role } },
    ),
  );
}

export async function aProject(
  by: TestPerson,
  input: { name?: string; key?: string; teamIds?: string[] } = {},
): Promise<Named & { key: string }> {
  const { projectCreate } = await by.client.ask<{ projectCreate: { project: Named & { key: string } } }>(
    `mutation Project($input: ProjectCreateInput!) { projectCreate(input: $input) { success userErrors { code message field } project { id key version } } }`,
    { input: { name: `Project ${unique()}`, key: `P${unique().toUpperCase().slice(0, 6)}`, ...input } },
  );
  return projectCreate.project;
}

export interface TestTask extends Named {
  key: string;
  title: string;
  syncId: string;
}

/**
 * The service waits half a second for what was made a moment before; a scene is set on however busy a machine, and so tries
 * again. That half a second is enough is another test's business (tests/e2e/references).
 */
export async function aTask(by: TestPerson, input: object = {}): Promise<TestTask> {
  const query = `mutation Task($input: TaskCreateInput!) { taskCreate(input: $input) { success userErrors { code message field } syncId task { id key title version } } }`;
  const variables = { input: { title: `Task ${unique()}`, ...input } };
  const { taskCreate } = await until('what the task refers to', () =>
    by.client.ask<{ taskCreate: { task: TestTask; syncId: string } }>(query, variables),
  );
  return { ...taskCreate.task, syncId: taskCreate.syncId };
}

export async function changeTask(
  by: TestPerson,
  input: { id: string } & Record<string, unknown>,
): Promise<TestTask> {
  const { taskUpdate } = await by.client.ask<{ taskUpdate: { task: TestTask; syncId: string } }>(
    `mutation Change($input: TaskUpdateInput!) { taskUpdate(input: $input) { success userErrors { code message field } syncId task { id key title version } } }`,
    { input },
  );
  return { ...taskUpdate.task, syncId: taskUpdate.syncId };
}
