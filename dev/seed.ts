/**
 * The demo organisations, made through the public API like everything a client makes.
 *
 * Idempotent: Mallory is the last to register, so whoever finds her finds the rest as well, and nothing is
 * made again that a visitor has deleted since. A seed that was interrupted is continued: every step looks
 * for what it would make.
 */
import { type Client, createClient } from './client.ts';

export const DEMO_PASSWORD = 'taskflow-demo';

export const DEMO_PEOPLE = {
  ada: { name: 'Ada Lovelace', email: 'ada@acme.test', organization: 'Acme', role: 'ORG_ADMIN' },
  grace: { name: 'Grace Hopper', email: 'grace@acme.test', organization: 'Acme', role: 'MEMBER' },
  mallory: {
    name: 'Mallory Malone',
    email: 'mallory@globex.test',
    organization: 'Globex',
    role: 'ORG_ADMIN',
  },
} as const;

type Person = (typeof DEMO_PEOPLE)[keyof typeof DEMO_PEOPLE];

/** A signed-in person. */
interface Seat {
  readonly id: string;
  readonly token: string;
  readonly client: Client;
}

/** Makes what is missing of the demo. `url` is the router's GraphQL endpoint. Returns whether it made anything. */
export async function seedDemo(url: string): Promise<boolean> {
  if (await findSeat(url, DEMO_PEOPLE.mallory)) return false;
  const ada = await found(url, DEMO_PEOPLE.ada);
  const grace = await invite(url, ada, DEMO_PEOPLE.grace);
  await furnish(ada, grace);
  const mallory = await found(url, DEMO_PEOPLE.mallory);
  await furnishElsewhere(mallory);
  return true;
}

const SEAT = 'success userErrors { code message } accessToken user { id }';

interface AuthPayload {
  success: boolean;
  accessToken: string | null;
  user: { id: string } | null;
}

async function findSeat(url: string, person: Person): Promise<Seat | null> {
  // A plain alias around the payload's `success`: a refused login is an answer here, not an error.
  const { login } = await createClient(url).request<{ login: Omit<AuthPayload, 'success'> }>(
    'mutation DemoLogin($input: LoginInput!) { login(input: $input) { accessToken user { id } } }',
    { input: { email: person.email, password: DEMO_PASSWORD } },
  );
  return login.accessToken && login.user ? seatOf(url, login.accessToken, login.user.id) : null;
}

async function found(url: string, person: Person): Promise<Seat> {
  const seat = await findSeat(url, person);
  if (seat) return seat;
  const { register } = await createClient(url).request<{ register: AuthPayload }>(
    `mutation DemoRegister($input: RegisterInput!) { register(input: $input) { ${SEAT} } }`,
    {
      input: {
        email: person.email,
        password: DEMO_PASSWORD,
        name: person.name,
        organizationName: person.organization,
      },
    },
  );
  return seatOfPayload(url, register);
}

async function invite(url: string, admin: Seat, person: Person): Promise<Seat> {
  const seat = await findSeat(url, person);
  if (seat) return seat;
  const { inviteCreate } = await admin.client.request<{ inviteCreate: { token: string } }>(
    'mutation DemoInvite($input: InviteCreateInput!) { inviteCreate(input: $input) { success userErrors { code message } token } }',
    { input: { email: person.email, role: person.role } },
  );
  const { inviteAccept } = await createClient(url).request<{ inviteAccept: AuthPayload }>(
    `mutation DemoAccept($input: InviteAcceptInput!) { inviteAccept(input: $input) { ${SEAT} } }`,
    { input: { token: inviteCreate.token, name: person.name, password: DEMO_PASSWORD } },
  );
  return seatOfPayload(url, inviteAccept);
}

function seatOfPayload(url: string, payload: AuthPayload): Seat {
  if (!payload.accessToken || !payload.user) throw new Error('the demo sign-up returned no session');
  return seatOf(url, payload.accessToken, payload.user.id);
}

function seatOf(url: string, token: string, id: string): Seat {
  return { id, token, client: createClient(url, token) };
}

// --- the world ------------------------------------------------------------------------------------------

const DAY_MS = 86_400_000;

async function furnish(ada: Seat, grace: Seat): Promise<void> {
  const engineering = await team(ada, 'Engineering', null);
  const platform = await team(ada, 'Platform', engineering);
  const design = await team(ada, 'Design', null);
  await join(ada, platform, grace.id, 'MEMBER');
  await join(ada, engineering, ada.id, 'MANAGER');
  const compiler = await project(ada, 'ENG', 'Compiler', [platform]);
  const website = await project(ada, 'WEB', 'Website', [design, platform]);
  const tasks: DemoTask[] = [
    { title: 'Write the first compiler', status: 'DONE', priority: 'HIGH', tags: ['history'] },
    { title: 'Find the moth in relay 70', status: 'DONE', priority: 'URGENT', tags: ['bug'] },
    {
      title: 'Parse numbers with a leading plus',
      status: 'IN_REVIEW',
      priority: 'MEDIUM',
      tags: ['bug', 'parser'],
    },
    {
      title: 'Explain a nanosecond with a piece of wire',
      status: 'IN_PROGRESS',
      priority: 'HIGH',
      tags: ['docs'],
      dueInDays: 2,
    },
    {
      title: 'Speed up the symbol table',
      status: 'TODO',
      priority: 'MEDIUM',
      tags: ['performance'],
      dueInDays: 7,
    },
    { title: 'Support nested loops', status: 'BACKLOG', priority: 'LOW', tags: [] },
    { title: 'Drop punched cards', status: 'CANCELED', priority: 'NONE', tags: ['history'] },
  ];
  for (const task of tasks) await createTask(ada, compiler, grace.id, task);
  const pages: DemoTask[] = [
    {
      title: 'Draw the landing page',
      status: 'IN_PROGRESS',
      priority: 'HIGH',
      tags: ['design'],
      dueInDays: 1,
    },
    { title: 'Choose a typeface', status: 'IN_REVIEW', priority: 'LOW', tags: ['design'] },
    { title: 'Say what the product is in one sentence', status: 'TODO', priority: 'URGENT', tags: ['docs'] },
    { title: 'Measure the time to first paint', status: 'TODO', priority: 'MEDIUM', tags: ['performance'] },
  ];
  for (const task of pages) await createTask(ada, website, ada.id, task);
  await createTask(ada, website, null, {
    title: 'Translate the page into French',
    status: 'BACKLOG',
    priority: 'LOW',
    tags: ['docs'],
  });
}

async function furnishElsewhere(mallory: Seat): Promise<void> {
  const plans = await team(mallory, 'Plans', null);
  const project1 = await project(mallory, 'EVL', 'Weather machine', [plans]);
  await createTask(mallory, project1, mallory.id, {
    title: 'Read what Acme is up to',
    status: 'IN_PROGRESS',
    priority: 'HIGH',
    tags: [],
  });
}

interface DemoTask {
  title: string;
  status: string;
  priority: string;
  tags: string[];
  dueInDays?: number;
}

interface Named {
  id: string;
  name: string;
}

async function team(seat: Seat, name: string, parentTeamId: string | null): Promise<string> {
  const { teams } = await seat.client.request<{ teams: { nodes: Named[] } }>(
    'query DemoTeams { teams(first: 100) { nodes { id name } } }',
  );
  const existing = teams.nodes.find((node) => node.name === name);
  if (existing) return existing.id;
  const { teamCreate } = await seat.client.request<{ teamCreate: { team: Named } }>(
    'mutation DemoTeam($input: TeamCreateInput!) { teamCreate(input: $input) { success userErrors { code message } team { id name } } }',
    { input: { name, parentTeamId } },
  );
  return teamCreate.team.id;
}

async function join(seat: Seat, teamId: string, userId: string, role: 'MEMBER' | 'MANAGER'): Promise<void> {
  const { team } = await seat.client.request<{
    team: { members: { nodes: { user: { id: string } | null }[] } };
  }>('query DemoMembers($id: ID!) { team(id: $id) { members(first: 100) { nodes { user { id } } } } }', {
    id: teamId,
  });
  if (team.members.nodes.some((member) => member.user?.id === userId)) return;
  await seat.client.request(
    'mutation DemoJoin($input: TeamMemberAddInput!) { teamMemberAdd(input: $input) { success userErrors { code message } } }',
    { input: { teamId, userId, role } },
  );
}

async function project(seat: Seat, key: string, name: string, teamIds: string[]): Promise<string> {
  const { projects } = await seat.client.request<{ projects: { nodes: Named[] } }>(
    'query DemoProjects { projects(first: 100) { nodes { id name } } }',
  );
  const existing = projects.nodes.find((node) => node.name === name);
  if (existing) return existing.id;
  const { projectCreate } = await seat.client.request<{ projectCreate: { project: Named } }>(
    'mutation DemoProject($input: ProjectCreateInput!) { projectCreate(input: $input) { success userErrors { code message } project { id name } } }',
    { input: { key, name, teamIds } },
  );
  return projectCreate.project.id;
}

async function createTask(
  seat: Seat,
  projectId: string,
  assigneeId: string | null,
  task: DemoTask,
): Promise<void> {
  const { tasks } = await seat.client.request<{ tasks: { nodes: { title: string }[] } }>(
    'query DemoTasks { tasks(first: 100) { nodes { title } } }',
  );
  if (tasks.nodes.some((node) => node.title === task.title)) return;
  const { dueInDays, ...fields } = task;
  const dueAt = dueInDays === undefined ? null : new Date(Date.now() + dueInDays * DAY_MS).toISOString();
  await seat.client.request(
    'mutation DemoTask($input: TaskCreateInput!) { taskCreate(input: $input) { success userErrors { code message } } }',
    { input: { ...fields, projectId, assigneeId, dueAt } },
  );
}
