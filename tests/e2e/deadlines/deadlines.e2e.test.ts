/**
 * A deadline ends the work, not only the waiting: whoever is told TIMEOUT has changed nothing, and nothing of theirs runs on
 * in the database. Tried with a table that somebody else holds, in process and over HTTP.
 */
import pg from 'pg';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Behind, lookBehind } from '../../kit/behind.ts';
import type { TestClient } from '../../kit/client.ts';
import { anOrg, aTask, type TestPerson, type TestTask } from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

const TIMEOUT_MS = 1_500;
/** Far less than the five seconds after which PostgreSQL ends any statement. */
const SOON_MS = 2_500;
const CHANGE = `mutation($input: TaskUpdateInput!) {
  taskUpdate(input: $input) { success userErrors { code } task { id title } } }`;
const LIST = '{ tasks(first: 5) { nodes { id title } } }';

let supergraph: TestSupergraph;
let behind: Behind;
let ada: TestPerson;
let task: TestTask;

beforeAll(async () => {
  supergraph = await aSupergraph({ env: { ROUTER_SUBGRAPH_TIMEOUTS_MS: `task=${TIMEOUT_MS}` } });
  behind = lookBehind(supergraph);
  ada = await anOrg(supergraph.client);
  task = await aTask(ada, { title: 'as it was' });
  await behind.settled();
});

/** Somebody else's transaction holds the table until the returned function is called. */
async function holdTasks(): Promise<() => Promise<void>> {
  const admin = new pg.Client({ connectionString: supergraph.databases.task.adminUrl });
  await admin.connect();
  await admin.query('begin; lock table tasks in access exclusive mode');
  let isHeld = true;
  const letGo = async () => {
    if (isHeld) await admin.end();
    isHeld = false;
  };
  onTestFinished(letGo);
  return letGo;
}

/** What the task service has under way in its database for requests. */
const underWay = async () =>
  (
    await behind.rows<{ state: string; query: string }>(
      'task',
      `select state, query from pg_stat_activity
        where usename = 'taskflow_task_app' and datname = current_database() and state <> 'idle'`,
    )
  ).filter(({ query }) => !/relay|outbox_seq/.test(query));

const written = async () => ({
  titles: await behind.rows('task', 'select title, version from tasks'),
  facts: await behind.rows('task', 'select count(*) from outbox'),
});

describe.each([
  ['in process', async () => ada.client],
  ['over HTTP', async (): Promise<TestClient> => (await supergraph.anotherRouter()).as(ada.accessToken)],
])('past its deadline, %s,', (_way, clientOf) => {
  it('a change is refused with TIMEOUT, and leaves neither row, nor fact, nor transaction', async () => {
    const client = await clientOf();
    const before = await written();
    const letGo = await holdTasks();
    const { errors, data } = await client.send(CHANGE, { input: { id: task.id, title: 'half' } });
    expect([errors.map(({ extensions }) => extensions.code), data?.taskUpdate]).toEqual([
      ['TIMEOUT'],
      undefined,
    ]);
    await until('nothing to be under way', async () => (await underWay()).length === 0, SOON_MS);
    await letGo();
    expect(await written()).toEqual(before);
    const { taskUpdate } = await client.ask<{ taskUpdate: { task: { title: string } } }>(CHANGE, {
      input: { id: task.id, title: 'as it was' },
    });
    expect(taskUpdate.task.title).toBe('as it was');
  });

  it('a read is refused with TIMEOUT, and its statement has ended', async () => {
    const client = await clientOf();
    const letGo = await holdTasks();
    const { errors } = await client.send(LIST);
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['TIMEOUT']);
    await until('nothing to be under way', async () => (await underWay()).length === 0, SOON_MS);
    await letGo();
    expect((await client.send(LIST)).errors).toEqual([]);
  });

  it('is not waited for when the reader leaves before: the statement is cancelled', async () => {
    const client = await clientOf();
    await holdTasks();
    const leaving = new AbortController();
    const asked = fetch(client.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ada.accessToken}` },
      body: JSON.stringify({ query: LIST }),
      signal: leaving.signal,
    }).catch((error) => error.name);
    await until('the statement to wait', async () => (await underWay()).length > 0);
    const startedAt = performance.now();
    leaving.abort();
    expect(await asked).toBe('AbortError');
    await until('the statement to be cancelled', async () => (await underWay()).length === 0, SOON_MS);
    expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS);
  });
});
