/**
 * The organisation that is measured: founded by the API, so that tokens and projections are the real ones; its people,
 * projects and tasks then put into the tables by SQL as administrator. Other organisations stand beside it in the table
 * of tasks, so that a tenant's rows are a part and not the whole.
 */
import { createClient } from '@taskflow/dev/client';
import pg from 'pg';
import { v7 as uuid } from 'uuid';
import type { Installation } from './installation.ts';

export interface Tenant {
  orgId: string;
  /** Access tokens of two ORG_ADMINs, valid for ten minutes. */
  tokens: { founder: string; colleague: string };
  tasks: number;
  /** Of the newest tasks. */
  someTaskIds: string[];
}

const PEOPLE = 20;
const PROJECTS = 10;
const NEWEST = 50;
const MORE = 100;

const PASSWORD = 'correct horse battery';
const AUTH = 'success userErrors { code message } accessToken user { id organization { id } }';

interface Auth {
  accessToken: string;
  user: { id: string; organization: { id: string } };
}

export interface Size {
  /** Rows in the table of tasks. */
  tasks: number;
  /** Organisations that share them: all but one equally. */
  tenants: number;
  /** At least as many tasks of the one that is measured as its pages hold. */
  pages: number;
}

export async function makeTenant(installation: Installation, size: Size): Promise<Tenant> {
  const neighbours = size.tenants - 1;
  // One page more than is read: the last one has a next page, too.
  const tasks = Math.max(size.pages + MORE, Math.ceil(size.tasks / size.tenants));
  const founder = await register(installation.url);
  const orgId = founder.user.organization.id;
  const colleague = await invite(installation.url, founder.accessToken);
  const people = Array.from({ length: PEOPLE }, (_, n) => ({ id: uuid(), name: `Person ${n}` }));
  const projects = Array.from({ length: PROJECTS }, (_, n) => ({
    id: uuid(),
    key: `PRJ${n}`,
    name: `Project ${n}`,
  }));
  await insertPeople(installation, orgId, people);
  await insertProjects(installation, orgId, projects);
  const someTaskIds = await withClient(installation.adminUrlOf('task'), async (client) => {
    const ids = { people: people.map(({ id }) => id), projects: projects.map(({ id }) => id) };
    await insertTasks(client, { orgIds: [orgId], tasks, ...ids });
    const orgIds = Array.from({ length: neighbours }, () => uuid());
    if (neighbours > 0) {
      const each = Math.max(1, Math.round((size.tasks - tasks) / neighbours));
      await insertTasks(client, { orgIds, tasks: each, ...ids });
    }
    await client.query('vacuum analyze tasks');
    const { rows } = await client.query<{ id: string }>(
      'select id from tasks where org_id = $1 order by created_at desc, id desc limit $2',
      [orgId, NEWEST],
    );
    return rows.map(({ id }) => id);
  });
  const tokens = { founder: founder.accessToken, colleague: colleague.accessToken };
  return { orgId, tokens, tasks, someTaskIds };
}

async function register(url: string): Promise<Auth> {
  const input = { name: 'Ada', email: 'ada@bench.test', password: PASSWORD, organizationName: 'Bench' };
  const { register } = await createClient(url).request<{ register: Auth }>(
    `mutation Register($input: RegisterInput!) { register(input: $input) { ${AUTH} } }`,
    { input },
  );
  return register;
}

async function invite(url: string, token: string): Promise<Auth> {
  const { inviteCreate } = await createClient(url, token).request<{ inviteCreate: { token: string } }>(
    'mutation Invite($input: InviteCreateInput!) { inviteCreate(input: $input) { success userErrors { code message } token } }',
    { input: { email: 'grace@bench.test', role: 'ORG_ADMIN' } },
  );
  const { inviteAccept } = await createClient(url).request<{ inviteAccept: Auth }>(
    `mutation Accept($input: InviteAcceptInput!) { inviteAccept(input: $input) { ${AUTH} } }`,
    { input: { token: inviteCreate.token, name: 'Grace', password: PASSWORD } },
  );
  return inviteAccept;
}

async function insertPeople(
  { adminUrlOf }: Installation,
  orgId: string,
  people: readonly { id: string; name: string }[],
): Promise<void> {
  const values = [orgId, people.map(({ id }) => id), people.map(({ name }) => name)];
  const given = 'unnest($2::uuid[], $3::text[]) as p (id, name)';
  await withClient(adminUrlOf('user'), async (client) => {
    // No password has this hash: nobody signs in as them.
    await client.query(
      `insert into accounts (id, email, password_hash) select p.id, p.id || '@bench.test', '-' from ${given}
         where $1::uuid is not null`,
      values,
    );
    await client.query(
      `insert into members (org_id, id, name, email, role)
         select $1::uuid, p.id, p.name, p.id || '@bench.test', 'MEMBER' from ${given}`,
      values,
    );
  });
  await withClient(adminUrlOf('task'), (client) =>
    client.query(
      `insert into members (org_id, id, name, role, status, version)
         select $1::uuid, p.id, p.name, 'MEMBER', 'ACTIVE', 1 from ${given}`,
      values,
    ),
  );
}

async function insertProjects(
  { adminUrlOf }: Installation,
  orgId: string,
  projects: readonly { id: string; key: string; name: string }[],
): Promise<void> {
  const columns = [
    projects.map(({ id }) => id),
    projects.map(({ key }) => key),
    projects.map(({ name }) => name),
  ];
  for (const subgraph of ['org', 'task'] as const) {
    await withClient(adminUrlOf(subgraph), (client) =>
      client.query(
        `insert into projects (org_id, id, key, name, version)
           select $1::uuid, p.id, p.key, p.name, 1 from unnest($2::uuid[], $3::text[], $4::text[]) as p (id, key, name)`,
        [orgId, ...columns],
      ),
    );
  }
}

/** Made a minute apart, at random ids; the newest first, so that the list does not have them in the order of insertion. */
async function insertTasks(
  client: pg.Client,
  seed: { orgIds: string[]; tasks: number; people: string[]; projects: string[] },
): Promise<void> {
  await client.query(
    `insert into tasks (org_id, id, number, key, title, status, priority, assignee_id, creator_id, project_id,
         created_at, updated_at)
       select org.id, gen_random_uuid(), n, 'TASK-' || n, 'Write down what was decided about part ' || n,
         (array['BACKLOG', 'TODO', 'IN_PROGRESS', 'IN_REVIEW', 'DONE', 'CANCELED'])[1 + n % 6],
         (array['NONE', 'LOW', 'MEDIUM', 'HIGH', 'URGENT'])[1 + n % 5],
         ($3::uuid[])[1 + n % cardinality($3::uuid[])], ($3::uuid[])[1],
         ($4::uuid[])[1 + n % cardinality($4::uuid[])],
         now() - n * interval '1 minute', now() - n * interval '1 minute'
       from unnest($1::uuid[]) as org (id) cross join generate_series(1, $2::int) as n`,
    [seed.orgIds, seed.tasks, seed.people, seed.projects],
  );
  await client.query(
    `insert into task_counters (org_id, prefix, last_number) select unnest($1::uuid[]), 'TASK', $2::int`,
    [seed.orgIds, seed.tasks],
  );
}

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
