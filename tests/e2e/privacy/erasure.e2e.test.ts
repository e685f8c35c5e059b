/**
 * Somebody is forgotten: what they did stays, they do not. Every column of every table of the four databases, and every key
 * of Redis, is searched for their name and address.
 */
import { randomBytes } from 'node:crypto';
import { subgraphs as NAMES } from '@taskflow/prisma/databases';
import { Redis } from 'ioredis';
import pg from 'pg';
import { beforeAll, expect, it } from 'vitest';
import { aMember, anOrg, aTask, aTeam, joinsTeam, PASSWORD, type TestPerson } from '../../kit/seed.ts';
import { openSocket } from '../../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

const ERASE = `mutation E($input: UserEraseInput!) { userErase(input: $input) {
  success userErrors { code field } user { id name email status } } }`;

let supergraph: TestSupergraph;

beforeAll(async () => {
  supergraph = await aSupergraph();
});

/** Every table.column in which a text stands, whatever the type of the column. */
async function placesOf(text: string): Promise<string[]> {
  const places: string[] = [];
  for (const name of NAMES) {
    const admin = new pg.Client({ connectionString: supergraph.databases[name].adminUrl });
    await admin.connect();
    const { rows: columns } = await admin.query<{ table: string; column: string }>(
      `select c.relname as table, a.attname as column from pg_class c
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')`,
    );
    expect(columns.length).toBeGreaterThan(50);
    for (const { table, column } of columns) {
      const cell = `case when pg_typeof("${column}") = 'bytea'::regtype then encode("${column}"::text::bytea, 'escape') else "${column}"::text end`;
      const { rows } = await admin.query(`select 1 from "${table}" where strpos(${cell}, $1) > 0 limit 1`, [
        text,
      ]);
      if (rows.length > 0) places.push(`${name}.${table}.${column}`);
    }
    await admin.end();
  }
  const redis = new Redis(supergraph.env.REDIS_URL ?? '');
  for (const key of await redis.keys(`${supergraph.redisPrefix}*`)) {
    const type = await redis.type(key);
    const value =
      type === 'stream'
        ? await redis.xrange(key, '-', '+')
        : type === 'string'
          ? await redis.get(key)
          : type === 'zset'
            ? await redis.zrange(key, '0', '-1')
            : type === 'hash'
              ? await redis.hgetall(key)
              : [];
    if (`${key} ${JSON.stringify(value)}`.includes(text)) places.push(`redis ${key}`);
  }
  await redis.quit();
  return places.sort();
}

interface Scene {
  ada: TestPerson;
  grace: TestPerson;
  taskId: string;
  teamId: string;
  name: string;
}

/** Somebody who has left traces wherever people leave them. */
async function aPersonWithTraces(): Promise<Scene> {
  const ada = await anOrg(supergraph.client, 'Ada');
  const name = `Grace${randomBytes(6).toString('hex')}`;
  const grace = await aMember(ada, 'MEMBER', name);
  const team = await aTeam(ada);
  await joinsTeam(ada, team.id, grace);
  const task = await aTask(ada, { assigneeId: grace.id });
  await aTask(grace, { title: 'made by somebody' });
  const { ask, send } = grace.client;
  await ask('mutation { apiKeyCreate(input: { name: "mine", scopes: [READ] }) { success } }');
  await ask('mutation { userDataExport(input: {}) { success } }');
  await until('the archive', async () => {
    const { dataExports } = await ask<{ dataExports: { state: string }[] }>('{ dataExports { state } }');
    return dataExports[0]?.state === 'READY';
  });
  await ask('mutation { emailVerificationSend(input: {}) { success } }');
  await supergraph.client.send(
    `mutation { login(input: { email: "${grace.email}", password: "wrong" }) { success } }`,
  );
  await supergraph.client.send(
    `mutation { passwordResetRequest(input: { email: "${grace.email}" }) { success } }`,
  );
  await send(`mutation { userUpdate(input: { name: "${name}" }) { success } }`);
  await until('the notice', async () => {
    const { notifications } = await ask<{ notifications: { nodes: unknown[] } }>(
      '{ notifications { nodes { id } } }',
    );
    return notifications.nodes.length > 0;
  });
  await aDeadLetterOf(grace);
  return { ada, grace, taskId: task.id, teamId: team.id, name };
}

/** As a consumer would have put it aside. */
async function aDeadLetterOf({ id, name, email, organizationId }: TestPerson): Promise<void> {
  const admin = new pg.Client({ connectionString: supergraph.databases.task.adminUrl });
  await admin.connect();
  const envelope = { type: 'member.updated', after: { id, name, email }, before: { id, name, email } };
  await admin.query(
    `insert into dead_letters (org_id, source, fact_id, type, aggregate_id, envelope, reason, attempts)
       values ($1, 'user', gen_random_uuid(), 'member.updated', $2, $3, 'test', 5)`,
    [organizationId, id, JSON.stringify(envelope)],
  );
  await admin.end();
}

const completed = (userId: string, orgId: string) =>
  until(
    'the erasure to be complete',
    async () => {
      const admin = new pg.Client({ connectionString: supergraph.databases.user.adminUrl });
      await admin.connect();
      const { rows } = await admin
        .query('select completed_at from erasures where user_id = $1 and org_id = $2', [userId, orgId])
        .finally(() => admin.end());
      return rows[0]?.completed_at;
    },
    60_000,
  );

it('nothing is left of a person but what they did', async () => {
  const { ada, grace, taskId, teamId, name } = await aPersonWithTraces();
  const socket = await openSocket(supergraph.url, grace.accessToken);
  await socket.subscribe('subscription { taskEvents { __typename } }').frame();
  for (const text of [name, grace.email]) {
    const places = await placesOf(text);
    expect(
      places.map((place) => place.split('.')[0]).filter((part) => part === 'user').length,
    ).toBeGreaterThan(3);
    expect(places).toEqual(
      expect.arrayContaining(['org.members.name', 'task.dead_letters.envelope'].slice(text === name ? 0 : 1)),
    );
  }

  const input = { userId: grace.id, password: PASSWORD };
  const { userErase } = await ada.client.ask<{ userErase: { user: object } }>(ERASE, { input });
  expect(userErase.user).toEqual({
    ...{
      id: grace.id,
      name: 'Deleted person',
      email: `erased-${grace.id}@erased.invalid`,
      status: 'REMOVED',
    },
  });
  expect((await socket.closed).code).toBe(4403);
  const refused = await grace.client.send('{ viewer { id } }');
  expect(refused.errors.map(({ extensions }) => extensions.code)).toEqual(['SESSION_REVOKED']);
  await completed(grace.id, ada.organizationId);

  expect(await placesOf(name)).toEqual([]);
  expect(await placesOf(grace.email)).toEqual([]);

  const kept = await ada.client.ask<{
    task: object;
    tasks: { nodes: { title: string; creator: object }[] };
    team: object;
  }>(
    `query Q($taskId: ID!, $teamId: ID!) {
       task(id: $taskId) { assignee { id } creator { id } }
       tasks { nodes { title creator { id name } } }
       team(id: $teamId) { members { nodes { user { name } leftAt } } } }`,
    { taskId, teamId },
  );
  expect(kept.task).toEqual({ assignee: null, creator: { id: ada.id } });
  expect(kept.tasks.nodes.find(({ title }) => title === 'made by somebody')?.creator).toEqual({
    ...{ id: grace.id, name: 'Deleted person' },
  });
  const again = await supergraph.client.send(
    `mutation { login(input: { email: "${grace.email}", password: "${PASSWORD}" }) { userErrors { code } } }`,
  );
  expect(again.data).toEqual({ login: { userErrors: [{ code: 'INVALID_CREDENTIALS' }] } });
  // The address is free again.
  const { register } = await supergraph.client.ask<{ register: { success: boolean } }>(
    'mutation R($input: RegisterInput!) { register(input: $input) { success } }',
    { input: { email: grace.email, password: PASSWORD, name: 'Somebody', organizationName: 'Acme' } },
  );
  expect(register.success).toBe(true);
}, 120_000);

it('everybody may erase themselves with their password, and the last ORG_ADMIN nobody', async () => {
  const { ada, grace } = await aPersonWithTraces();
  const codes = async (by: TestPerson, input: object) => {
    const { data } = await by.client.send<{ userErase: { userErrors: { code: string; field: string }[] } }>(
      ERASE,
      { input },
    );
    return data?.userErase.userErrors.map(({ code, field }) => [code, field]);
  };
  const absent = '01900000-0000-7000-8000-000000000000';
  const mallory = await anOrg(supergraph.client, 'Mallory');
  expect(await codes(grace, { userId: grace.id, password: 'wrong' })).toEqual([
    ['INVALID_CREDENTIALS', 'password'],
  ]);
  expect(await codes(grace, { userId: ada.id, password: PASSWORD })).toEqual([['FORBIDDEN', null]]);
  for (const userId of [mallory.id, absent, 'x']) {
    expect(await codes(ada, { userId, password: PASSWORD })).toEqual([['NOT_FOUND', 'userId']]);
  }
  expect(await codes(ada, { userId: ada.id, password: PASSWORD })).toEqual([['CONFLICT', 'userId']]);
  expect(await codes(grace, { userId: grace.id, password: PASSWORD })).toEqual([]);
  await completed(grace.id, ada.organizationId);
  expect(await placesOf(grace.email)).toEqual([]);
}, 120_000);
