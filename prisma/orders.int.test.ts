/** Every list's order is served by an index, as the serving role and under row security: no sort, however long the list. */
import { randomUUID } from 'node:crypto';
import { aDatabase } from '@taskflow/tests/kit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Subgraph } from './databases.ts';

const orgId = randomUUID();
const [one, two] = [randomUUID(), randomUUID()];

/** Two tenants; the other one has most of the rows. */
const SEEDS: Record<Subgraph, string> = {
  user: `
    insert into accounts (id, email, password_hash)
      select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'p' || n || '@x.org', '' from generate_series(1, 4000) n;
    insert into members (org_id, id, name, email, role)
      select case when n % 4 = 0 then '${orgId}' else '${two}' end::uuid, id, 'Person ' || n, email, 'MEMBER'
      from (select *, row_number() over () as n from accounts) a;
    insert into invites (org_id, id, email, role, token_hash, created_by, expires_at)
      select org_id, gen_random_uuid(), email, 'MEMBER', sha256(email::bytea), id, now() from members;
    insert into sessions (org_id, id, user_id, last_active_at, expires_at, revoked_at)
      select '${orgId}', gen_random_uuid(), ('00000000-0000-7000-8000-00000000000' || case when n % 4 = 0 then 4 else 8 end)::uuid,
        now() - n * interval '1 minute', now() + interval '7 days', case when n % 8 <> 0 then now() end
      from generate_series(1, 8000) n;`,
  org: `
    insert into organizations (org_id, name, slug) values ('${orgId}', 'Acme', 'acme'), ('${two}', 'Globex', 'globex');
    insert into teams (org_id, id, name)
      select case when n % 4 = 0 then '${orgId}' else '${two}' end::uuid, gen_random_uuid(), 'Team ' || n from generate_series(1, 4000) n;
    insert into projects (org_id, id, key, name)
      select case when n % 4 = 0 then '${orgId}' else '${two}' end::uuid, gen_random_uuid(), 'P' || n, 'Project ' || n from generate_series(1, 4000) n;
    insert into teams (org_id, id, name) values ('${orgId}', '${one}', 'The team');
    insert into team_members (org_id, id, team_id, user_id, role, left_at)
      select '${orgId}', gen_random_uuid(), '${one}', gen_random_uuid(), 'MEMBER', case when n % 8 <> 0 then now() end
      from generate_series(1, 4000) n;`,
  task: `
    insert into tasks (org_id, id, number, key, title, creator_id, assignee_id, project_id, tags, due_at, status)
      select case when n % 4 = 0 then '${orgId}' else '${two}' end::uuid, gen_random_uuid(), n, 'ENG-' || n, 'Task word' || n,
        '${one}', case when n % 3 = 0 then '${one}' else '${two}' end::uuid, '${one}', array['tag' || n % 500],
        case when n % 2 = 0 then now() + n * interval '1 hour' end, (array['TODO', 'DONE'])[1 + n % 2]
      from generate_series(1, 8000) n;
    insert into audit_entries (org_id, id, action, target_type, target_id, actor_id, request_id, occurred_at, details_digest)
      select case when n % 4 = 0 then '${orgId}' else '${two}' end::uuid, gen_random_uuid(), (array['a.done', 'b.done'])[1 + n % 2],
        'task', case when n % 40 = 0 then '${one}' else '${two}' end::uuid, case when n % 40 = 0 then '${one}' end::uuid, 'r', now(), sha256('')
      from generate_series(1, 8000) n;`,
  notification: `
    insert into notifications (org_id, id, user_id, kind, title, fact_id, read_at, seen_at)
      select '${orgId}', gen_random_uuid(), case when n % 4 = 0 then '${one}' else '${two}' end::uuid, 'TASK_ASSIGNED', 'T',
        gen_random_uuid(), case when n % 8 <> 0 then now() end, case when n % 8 <> 0 then now() end
      from generate_series(1, 8000) n;`,
};

/** [table and condition, order, the index that serves it] */
const LISTS: Record<Subgraph, [from: string, order: string, index: string][]> = {
  user: [
    ['members', 'created_at, id', 'members_created_at_idx'],
    ['members', 'name, id', 'members_name_idx'],
    ['invites', 'created_at desc, id desc', 'invites_created_at_idx'],
    [
      "members where (name, id) > ('Person 77', '00000000-0000-7000-8000-000000000077')",
      'name, id',
      'members_name_idx',
    ],
    [
      "sessions where user_id = '00000000-0000-7000-8000-000000000004' and revoked_at is null and expires_at > now()",
      'last_active_at desc, id desc',
      'sessions_last_active_at_idx',
    ],
  ],
  org: [
    ['teams', 'created_at, id', 'teams_created_at_idx'],
    ['teams', 'name, id', 'teams_name_idx'],
    ['projects', 'created_at, id', 'projects_created_at_idx'],
    ['projects', 'name desc, id desc', 'projects_name_idx'],
    [
      `team_members where team_id = '${one}' and left_at is null`,
      'joined_at, id',
      'team_members_active_joined_at_idx',
    ],
    [`team_members where team_id = '${one}'`, 'joined_at, id', 'team_members_joined_at_idx'],
  ],
  task: [
    ['tasks where deleted_at is null', 'created_at desc, id desc', 'tasks_created_at_idx'],
    ['tasks where deleted_at is null', 'updated_at, id', 'tasks_updated_at_idx'],
    ['tasks where deleted_at is null', 'due_order_asc, id', 'tasks_due_order_asc_idx'],
    ['tasks where deleted_at is null', 'due_order_desc desc, id desc', 'tasks_due_order_desc_idx'],
    [
      `tasks where deleted_at is null and (due_order_asc, id) > (now(), '${one}')`,
      'due_order_asc, id',
      'tasks_due_order_asc_idx',
    ],
    [
      `tasks where deleted_at is null and assignee_id = '${one}'`,
      'created_at desc, id desc',
      'tasks_assignee_id_idx',
    ],
    ['audit_entries', 'id desc', 'audit_entries_pkey'],
    [`audit_entries where actor_id = '${one}'`, 'id desc', 'audit_entries_actor_id_idx'],
    [`audit_entries where target_id = '${one}'`, 'id desc', 'audit_entries_target_id_idx'],
    ["audit_entries where action = 'a.done'", 'id desc', 'audit_entries_action_idx'],
    [
      "audit_entries where id >= '01900000-0000-0000-0000-000000000000' and id < '01a00000-0000-0000-0000-000000000000'",
      'id desc',
      'audit_entries_pkey',
    ],
  ],
  notification: [
    [`notifications where user_id = '${one}'`, 'created_at desc, id desc', 'notifications_created_at_idx'],
    [
      `notifications where user_id = '${one}' and read_at is null`,
      'created_at desc, id desc',
      'notifications_unread_idx',
    ],
  ],
};

async function explain(client: pg.Client, sql: string): Promise<string> {
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (costs off) ${sql}`);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

/** Fills a database of the subgraph; the connections of both roles are in the smaller tenant. */
async function openSeeded(subgraph: Subgraph): Promise<{ app: pg.Client; owner: pg.Client }> {
  const database = await aDatabase(subgraph);
  const owner = new pg.Client({ connectionString: database.ownerUrl });
  const app = new pg.Client({ connectionString: database.appUrl });
  await Promise.all([owner.connect(), app.connect()]);
  await owner.query(SEEDS[subgraph]);
  // Also empties what GIN indexes keep pending after many inserts, as autovacuum would.
  await owner.query('vacuum analyze');
  for (const client of [owner, app])
    await client.query("select set_config('app.org_id', $1, false)", [orgId]);
  return { app, owner };
}

describe.each(Object.keys(LISTS) as Subgraph[])('the lists of %s', (subgraph) => {
  let app: pg.Client;
  let owner: pg.Client;
  beforeAll(async () => {
    ({ app, owner } = await openSeeded(subgraph));
  });
  afterAll(() => Promise.all([owner.end(), app.end()]));

  it.each(LISTS[subgraph])('%s order by %s', async (from, order, index) => {
    const scoped = from.includes(' where ')
      ? from.replace(' where ', ` where org_id = '${orgId}' and `)
      : `${from} where org_id = '${orgId}'`;
    const plan = await explain(app, `select * from ${scoped} order by ${order} limit 26`);
    expect(plan).toContain(index);
    expect(plan).not.toContain('Sort');
    expect(plan).not.toContain('Seq Scan');
  });
});

describe('the indexes of task beyond its lists', () => {
  let app: pg.Client;
  let owner: pg.Client;
  beforeAll(async () => {
    ({ app, owner } = await openSeeded('task'));
  });
  afterAll(() => Promise.all([owner.end(), app.end()]));

  it.each([
    ["tsv @@ websearch_to_tsquery('simple', 'word77')", 'tasks_tsv_idx'],
    ["tags @> array['tag77']", 'tasks_tags_idx'],
    ["tags && array['tag77']", 'tasks_tags_idx'],
  ])(
    '%s is answered by an index to the search functions, and could not be to the serving role',
    async (condition, index) => {
      const sql = `select id from tasks where org_id = '${orgId}' and deleted_at is null and ${condition}`;
      expect(await explain(owner, sql)).toMatch(new RegExp(`${index}\\n.*Index Cond: .*(word|tag)77`));
      expect(await explain(app, sql)).not.toMatch(/Index Cond: .*(word|tag)77/);
    },
  );

  it('the open tasks of several people are counted in their index', async () => {
    const plan = await explain(
      app,
      `select assignee_id, count(*) from tasks where org_id = '${orgId}' and assignee_id in ('${one}', '${two}')
         and deleted_at is null and status not in ('DONE', 'CANCELED') group by 1`,
    );
    expect(plan).toContain('tasks_open_assignee_id_idx');
  });
});
