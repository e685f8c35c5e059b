import { randomUUID } from 'node:crypto';
import { aDatabase } from '@taskflow/tests/kit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Subgraph } from './databases.ts';

/** A connection of the serving role that works for one tenant. */
async function asTenant(subgraph: Subgraph) {
  const { appUrl, adminUrl } = await aDatabase(subgraph);
  const client = new pg.Client({ connectionString: appUrl });
  await client.connect();
  const become = (orgId: string) => client.query("select set_config('app.org_id', $1, false)", [orgId]);
  const orgId = randomUUID();
  await become(orgId);
  const insert = async (table: string, row: Record<string, unknown>) => {
    const names = Object.keys(row);
    const places = names.map((_, index) => `$${index + 1}`);
    await client.query(
      `insert into ${table} (${names.join(', ')}) values (${places.join(', ')})`,
      Object.values(row),
    );
  };
  return { adminUrl, client, orgId, become, insert };
}

const CHECK = { code: '23514' };
const FOREIGN_KEY = { code: '23503' };
const UNIQUE = { code: '23505' };

describe('org', () => {
  let org: Awaited<ReturnType<typeof asTenant>>;
  const [teamId, projectId] = [randomUUID(), randomUUID()];
  beforeAll(async () => {
    org = await asTenant('org');
    const { orgId, insert } = org;
    await insert('organizations', { org_id: orgId, name: 'Acme', slug: 'acme' });
    await insert('teams', { org_id: orgId, id: teamId, name: 'Engineering' });
    await insert('projects', { org_id: orgId, id: projectId, key: 'ENG', name: 'Engine' });
  });
  afterAll(() => org.client.end());

  it.each([-1, 101])('refuses a progress of %d', async (progress) => {
    await expect(org.client.query('update projects set progress = $1', [progress])).rejects.toMatchObject({
      ...CHECK,
      constraint: 'projects_progress_percent',
    });
  });

  it('refuses more done tasks than there are', async () => {
    await expect(
      org.client.query('update projects set task_count = 1, done_count = 2'),
    ).rejects.toMatchObject(CHECK);
  });

  it('refuses a second project of the same key, and the key that tasks of no project have', async () => {
    const { orgId, insert } = org;
    const project = { org_id: orgId, id: randomUUID(), name: 'Other' };
    await expect(insert('projects', { ...project, key: 'ENG' })).rejects.toMatchObject(UNIQUE);
    await expect(insert('projects', { ...project, key: 'TASK' })).rejects.toMatchObject(CHECK);
  });

  it('lets a person leave a team and join it again, and keeps both stays', async () => {
    const { orgId, insert, client } = org;
    const stay = () => ({
      org_id: orgId,
      id: randomUUID(),
      team_id: teamId,
      user_id: person,
      role: 'MEMBER',
    });
    const person = randomUUID();
    await insert('team_members', stay());
    await expect(insert('team_members', stay())).rejects.toMatchObject(UNIQUE);
    await client.query('update team_members set left_at = now() where user_id = $1', [person]);
    await insert('team_members', stay());
    const { rows } = await client.query(
      'select left_at is null as "isActive" from team_members where user_id = $1 order by 1',
      [person],
    );
    expect(rows).toEqual([{ isActive: false }, { isActive: true }]);
  });

  it('lets a team be taken off a project and put on it again', async () => {
    const { orgId, insert, client } = org;
    const entry = () => ({ org_id: orgId, id: randomUUID(), project_id: projectId, team_id: teamId });
    await insert('project_teams', entry());
    await expect(insert('project_teams', entry())).rejects.toMatchObject(UNIQUE);
    await client.query('update project_teams set removed_at = now()');
    await insert('project_teams', entry());
  });

  it('refuses to refer to what belongs to another tenant, exactly as to what does not exist', async () => {
    const { insert, become, orgId } = org;
    const other = randomUUID();
    await become(other);
    await insert('organizations', { org_id: other, name: 'Globex', slug: 'globex' });
    const team = { org_id: other, id: randomUUID(), name: 'Thieves' };
    const member = { org_id: other, id: randomUUID(), user_id: randomUUID(), role: 'MEMBER' };
    for (const id of [teamId, randomUUID()]) {
      await expect(insert('teams', { ...team, parent_team_id: id })).rejects.toMatchObject(FOREIGN_KEY);
      await expect(insert('team_members', { ...member, team_id: id })).rejects.toMatchObject(FOREIGN_KEY);
    }
    await become(orgId);
  });

  it('refuses a team above itself', async () => {
    const setParent = org.client.query('update teams set parent_team_id = id');
    await expect(setParent).rejects.toMatchObject(CHECK);
  });
});

describe('task', () => {
  let task: Awaited<ReturnType<typeof asTenant>>;
  const creator = randomUUID();
  const aTask = (number: number, more: object = {}) => ({
    ...{
      org_id: task.orgId,
      id: randomUUID(),
      number,
      key: `ENG-${number}`,
      title: `Task ${number}`,
      creator_id: creator,
    },
    ...more,
  });
  beforeAll(async () => {
    task = await asTenant('task');
  });
  afterAll(() => task.client.end());

  it.each([
    ['a status that is not one', { status: 'LATER' }],
    ['a priority that is not one', { priority: 'HIGHEST' }],
    ['an empty title', { title: '' }],
    ['a title of 501 characters', { title: 'x'.repeat(501) }],
    ['a description of 20,001 characters', { description: 'x'.repeat(20_001) }],
    ['51 tags', { tags: Array.from({ length: 51 }, (_, n) => `tag${n}`) }],
    ['a tag that is null', { tags: ['a', null] }],
    ['a key of another number', { key: 'ENG-9' }],
    ['a due date at the end of time', { due_at: 'infinity' }],
  ])('refuses %s', async (_, more) => {
    await expect(task.insert('tasks', aTask(8, more))).rejects.toMatchObject(CHECK);
  });

  it('counts a title in characters, not in bytes', async () => {
    await task.insert('tasks', aTask(500, { title: '🦄'.repeat(500), deleted_at: new Date() }));
  });

  it('orders undated tasks last in both directions', async () => {
    await task.insert('tasks', aTask(1, { due_at: '2026-01-01' }));
    await task.insert('tasks', aTask(2));
    await task.insert('tasks', aTask(3, { due_at: '2026-02-01' }));
    const list = async (order: string) =>
      (
        await task.client.query(`select number from tasks where deleted_at is null order by ${order}`)
      ).rows.map((row) => row.number);
    expect(await list('due_order_asc, id')).toEqual([1, 3, 2]);
    expect(await list('due_order_desc desc, id desc')).toEqual([3, 1, 2]);
  });

  it('searches words and tags of its own tenant only', async () => {
    const { client, insert, become, orgId } = task;
    const mine = aTask(20, { title: 'Polish the unicorn', description: 'with wax', tags: ['ui', 'urgent'] });
    await insert('tasks', mine);
    const ids = async (call: string, argument: unknown) =>
      (await client.query(`select ${call}($1) as id`, [argument])).rows.map((row) => row.id);
    for (const words of ['unicorn', 'POLISH wax', 'eng-20', '"the unicorn"']) {
      expect(await ids('search_task_ids', words)).toEqual([mine.id]);
    }
    expect(await ids('search_task_ids', 'unicorn -wax')).toEqual([]);
    expect(await ids('task_ids_with_all_tags', ['ui', 'urgent'])).toEqual([mine.id]);
    expect(await ids('task_ids_with_all_tags', ['ui', 'other'])).toEqual([]);
    expect(await ids('task_ids_with_any_tag', ['ui', 'other'])).toEqual([mine.id]);
    await become(randomUUID());
    expect(await ids('search_task_ids', 'unicorn')).toEqual([]);
    expect(await ids('task_ids_with_any_tag', ['ui'])).toEqual([]);
    await client.query('reset app.org_id');
    await expect(ids('search_task_ids', 'unicorn')).rejects.toMatchObject({ code: '22P02' });
    await become(orgId);
  });
});

describe('user', () => {
  it('counts failed logins exactly, however many come at once', async () => {
    const { systemUrl } = await aDatabase('user');
    const pool = new pg.Pool({ connectionString: systemUrl, max: 8 });
    const hash = Buffer.alloc(32, 1);
    const counts = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const { rows } = await pool.query<{ failures: number }>(
          `insert into login_attempts (account_hash, address, failures) values ($1, '127.0.0.1', 1)
           on conflict (account_hash, address) do update set failures = login_attempts.failures + 1
           returning failures`,
          [hash],
        );
        return rows[0]?.failures ?? 0;
      }),
    );
    await pool.end();
    expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  });

  it('has one active signing key, whoever makes it first', async () => {
    const { systemUrl } = await aDatabase('user');
    const pool = new pg.Pool({ connectionString: systemUrl });
    const make = (kid: string) =>
      pool.query(
        "insert into signing_keys (kid, public_jwk, private_key_encrypted, status) values ($1, '{}', '', 'ACTIVE') on conflict do nothing",
        [kid],
      );
    const made = await Promise.all(['a', 'b', 'c'].map(make));
    await pool.end();
    expect(made.map((result) => result.rowCount).sort()).toEqual([0, 0, 1]);
  });
});

describe('notification', () => {
  it('makes one notice of a fact for each person', async () => {
    const { client, insert, orgId } = await asTenant('notification');
    const notice = (userId: string) => ({
      ...{
        org_id: orgId,
        id: randomUUID(),
        user_id: userId,
        kind: 'TASK_ASSIGNED',
        title: 'ENG-1',
        fact_id: fact,
      },
    });
    const fact = randomUUID();
    const [ada, grace] = [randomUUID(), randomUUID()];
    await insert('notifications', notice(ada));
    await insert('notifications', notice(grace));
    await expect(insert('notifications', notice(ada))).rejects.toMatchObject(UNIQUE);
    await client.end();
  });
});
