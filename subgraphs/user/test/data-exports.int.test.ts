import { type FactOf, makeFact } from '@taskflow/schema/events';
import { until } from '@taskflow/tests/kit/until';
import { strFromU8, unzipSync } from 'fflate';
import { beforeAll, describe, expect, it } from 'vitest';
import { createDatabase } from '../src/data/database.ts';
import { deleteExpired } from '../src/data/retention.ts';
import type { Gathered } from '../src/domain/data-exports.ts';
import { ABSENT, aScene, type Person, type Scene } from './scene.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await aScene();
});

const EXPORT = `mutation ($input: UserDataExportInput!) { userDataExport(input: $input) {
  success userErrors { code message field } syncId dataExport { id state readyAt sizeBytes archive } } }`;
const LIST = '{ dataExports { id state readyAt expiresAt sizeBytes archive } }';
const STATES = '{ dataExports { id state sizeBytes } }';

interface Export {
  id: string;
  state: string;
  sizeBytes: number | null;
  archive: string | null;
}

const ask = async ({ viewer }: Person) =>
  (await scene.user.ask(viewer, EXPORT, { input: {} })).userDataExport;
const list = async ({ viewer }: Person, query = LIST): Promise<Export[]> =>
  (await scene.user.ask(viewer, query)).dataExports;

const requestOf = async (id: string) => {
  const [row] = await scene.sql<{ envelope: FactOf<'data-export.requested'> }>(
    `select envelope from outbox where type = 'data-export.requested' and aggregate_id = $1`,
    [id],
  );
  return row?.envelope;
};

const TYPES = {
  org: 'org-data.gathered',
  task: 'task-data.gathered',
  notification: 'notification-data.gathered',
} as const;

/** What a subgraph answers, in as many facts as there are pieces. */
function gathered(
  { viewer }: Person,
  exportId: string,
  source: keyof typeof TYPES,
  pieces: string[],
): Gathered[] {
  const { orgId, userId } = viewer;
  return pieces.map((content, index) =>
    makeFact({
      type: TYPES[source],
      ...{ orgId, aggregate: { id: exportId, version: index + 1 }, actor: { userId }, requestId: 'test' },
      ...{ before: null, after: { exportId, userId, index, count: pieces.length, content } },
    }),
  );
}
const answers = (person: Person, id: string) => [
  ...gathered(person, id, 'org', ['{"teamStays":["Engi', 'neering"]}']),
  ...gathered(person, id, 'task', ['{"tasksCreated":["Ship it"]}']),
  ...gathered(person, id, 'notification', ['{"mails":[]}']),
];
async function tell(...facts: Gathered[]) {
  await scene.user.deliver(...facts);
  await scene.user.settled(...facts);
}
const filesOf = (archive: string | null): Record<string, string> =>
  Object.fromEntries(
    Object.entries(unzipSync(Buffer.from(archive ?? '', 'base64'))).map(([name, bytes]) => [
      name,
      strFromU8(bytes),
    ]),
  );
const linesOf = (id: string) =>
  scene.sql<{ action: string; actor_id: string | null }>(
    'select action, actor_id from audit_entries where target_id = $1 order by id',
    [id],
  );
const partsOf = async (id: string) =>
  (await scene.sql('select from data_export_parts where export_id = $1', [id])).length;
const readyMails = async (email: string) =>
  (await scene.mailsTo(email)).filter(({ template }) => template === 'DATA_EXPORT_READY');

/** Somebody whose archive is ready. */
async function served(person: Person): Promise<Export> {
  const { dataExport } = await ask(person);
  await tell(...answers(person, dataExport.id));
  const [ready] = await list(person, STATES);
  return ready as Export;
}

/** Calls that all wait for the person's row, until it is let go. */
async function atOnce<T>({ user }: Person, call: () => Promise<T>, count: number): Promise<T[]> {
  await scene.sql('begin');
  await scene.sql('select from members where id = $1 for update', [user.id]);
  const calls = Array.from({ length: count }, call);
  await until('all to wait', async () => {
    const waiting = await scene.sql(
      `select distinct pid from pg_locks w where not w.granted and exists (select from pg_locks m
         where m.pid = w.pid and m.relation = 'members'::regclass and m.database =
           (select oid from pg_database where datname = current_database()))`,
    );
    return waiting.length === count;
  });
  await scene.sql('commit');
  return Promise.all(calls);
}

describe('asking for one’s data', () => {
  it('begins an export and tells the others whose data to gather, without saying the address', async () => {
    const ada = await scene.founder();
    const answer = await ask(ada);
    expect(answer).toMatchObject({
      ...{ success: true, userErrors: [] },
      dataExport: { state: 'GATHERING', readyAt: null, sizeBytes: null, archive: null },
    });
    const fact = await requestOf(answer.dataExport.id);
    expect(fact).toMatchObject({ after: { userId: ada.user.id }, actor: { userId: ada.user.id } });
    expect(JSON.stringify(fact)).not.toContain(ada.email);
    expect(answer.syncId).toBe(`user.${fact?.id}`);
    expect(await linesOf(answer.dataExport.id)).toEqual([
      { action: 'data-export.requested', actor_id: ada.user.id },
    ]);
  });

  it('is refused while one is gathered, and within an hour of the last, also to those who ask at once', async () => {
    const ada = await scene.founder();
    const asked = await atOnce(ada, () => ask(ada), 3);
    expect(asked.map(({ success }) => success).sort()).toEqual([false, false, true]);
    expect(asked.find(({ success }) => !success)).toMatchObject({ userErrors: [{ code: 'CONFLICT' }] });
    const age = (hours: number) =>
      scene.sql(
        `update data_exports set created_at = now() - $2::int * interval '1 hour' where user_id = $1`,
        [...[ada.user.id, hours]],
      );
    await age(2);
    expect(await ask(ada)).toMatchObject({ userErrors: [{ code: 'CONFLICT' }] });
    const [{ id } = { id: '' }] = await list(ada, STATES);
    await tell(...answers(ada, id));
    await age(2);
    expect(await ask(ada)).toMatchObject({ success: true });
  });

  it('is for people: a key with every scope is refused', async () => {
    const ada = await scene.founder();
    const key = { ...ada.viewer, scopes: ['READ', 'WRITE', 'ADMIN'] as const };
    for (const query of [EXPORT, LIST]) {
      const { errors } = await scene.user.send(key, query, { input: {} });
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
    }
  });
});

describe('the archive', () => {
  it('is made of all four when the last part has come, with a mail and a line of the audit log', async () => {
    const ada = await scene.founder();
    const { dataExport } = await ask(ada);
    const facts = answers(ada, dataExport.id);
    await tell(...facts.slice(0, -1));
    expect(await list(ada)).toMatchObject([{ state: 'GATHERING', archive: null }]);
    await tell(...facts.slice(-1));
    const [ready] = await list(ada);
    expect(ready).toMatchObject({ id: dataExport.id, state: 'READY' });
    expect(Buffer.from(ready?.archive ?? '', 'base64')).toHaveLength(ready?.sizeBytes ?? 0);
    const files = filesOf(ready?.archive ?? null);
    expect(Object.keys(files).sort()).toEqual([
      ...['README.txt', 'notification.json', 'org.json', 'task.json', 'user.json'],
    ]);
    expect(JSON.parse(files['org.json'] ?? '')).toEqual({ teamStays: ['Engineering'] });
    expect(JSON.parse(files['task.json'] ?? '')).toEqual({ tasksCreated: ['Ship it'] });
    expect(JSON.parse(files['user.json'] ?? '')).toMatchObject({
      account: [{ email: ada.email }],
      member: [{ name: 'Ada', role: 'ORG_ADMIN' }],
      sessions: [{ revokedAt: null }],
      mailedTokens: [{ kind: 'EMAIL_VERIFICATION', email: ada.email }],
      auditLog: expect.arrayContaining([expect.objectContaining({ action: 'organization.founded' })]),
    });
    expect(await partsOf(dataExport.id)).toBe(0);
    expect(await readyMails(ada.email)).toMatchObject([{ values: { name: 'Ada' }, token: '' }]);
    expect((await linesOf(dataExport.id)).map(({ action }) => action)).toEqual([
      ...['data-export.requested', 'data-export.completed', 'data-export.downloaded'],
    ]);
  });

  it('holds no secret, not even the hash of one', async () => {
    const ada = await scene.founder();
    await scene.user.ask(
      ada.viewer,
      'mutation { apiKeyCreate(input: { name: "Machine", scopes: [READ] }) { success } }',
    );
    await scene.invite(ada, `invited-${ada.email}`);
    await served(ada);
    const [ready] = await list(ada);
    const text = filesOf(ready?.archive ?? null)['user.json'] ?? '';
    expect(JSON.parse(text)).toMatchObject({
      apiKeys: [{ name: 'Machine' }],
      invitesMade: [{ email: `invited-${ada.email}` }],
    });
    const secrets = await scene.sql<{ secret: string }>(
      `select encode(token_hash, 'hex') as secret from api_keys union all select encode(token_hash, 'base64') from api_keys
       union all select encode(token_hash, 'hex') from invites union all select encode(token_hash, 'hex') from refresh_tokens
       union all select password_hash from accounts`,
    );
    for (const { secret } of secrets) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/hash/i);
  });

  it('is one archive, one mail and one line, however often and in whatever order the parts come', async () => {
    const ada = await scene.founder();
    const { dataExport } = await ask(ada);
    const facts = answers(ada, dataExport.id);
    // The same pieces again as other facts: what a producer sends that was asked twice.
    const again = answers(ada, dataExport.id);
    await tell(...facts.slice(1).reverse(), ...again.slice(1), ...facts.slice(1));
    expect(await partsOf(dataExport.id)).toBe(3);
    await tell(...facts, ...again, ...facts);
    expect(await list(ada, STATES)).toMatchObject([{ state: 'READY' }]);
    expect(await partsOf(dataExport.id)).toBe(0);
    expect(await readyMails(ada.email)).toHaveLength(1);
    expect((await linesOf(dataExport.id)).map(({ action }) => action)).toEqual([
      ...['data-export.requested', 'data-export.completed'],
    ]);
  });

  it('belongs to the person alone: nobody else lists it, not even an ORG_ADMIN', async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const bob = await scene.founder('Bob');
    await served(grace);
    expect([await list(ada), await list(bob)]).toEqual([[], []]);
    expect(await list(grace)).toMatchObject([{ state: 'READY' }]);
  });

  it('takes no part for an export that is not this person’s, is done, or is not there', async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const { dataExport } = await ask(ada);
    await tell(...answers(grace, dataExport.id), ...answers(ada, ABSENT));
    expect([await partsOf(dataExport.id), await partsOf(ABSENT)]).toEqual([0, 0]);
    expect(await list(ada, STATES)).toMatchObject([{ state: 'GATHERING' }]);
  });

  it('is not made for somebody who was removed meanwhile', async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const { dataExport } = await ask(grace);
    await scene.user.ask(
      ada.viewer,
      `mutation { userRemove(input: { id: "${grace.user.id}" }) { success } }`,
    );
    await tell(...answers(grace, dataExport.id));
    expect(await partsOf(dataExport.id)).toBe(0);
    expect(await readyMails(grace.email)).toEqual([]);
  });

  it('cannot be read when its time is over, and is deleted then', async () => {
    const ada = await scene.founder();
    const { id } = await served(ada);
    const [{ days } = { days: 0 }] = await scene.sql<{ days: number }>(
      `select extract(epoch from expires_at - ready_at)::int / 86400 as days from data_exports where id = $1`,
      [id],
    );
    expect(days).toBe(7);
    await scene.sql(`update data_exports set expires_at = now() - interval '1 second' where id = $1`, [id]);
    expect(await list(ada)).toMatchObject([{ id, state: 'EXPIRED', archive: null }]);
    const { dataExport: other } = await ask(await scene.colleague(ada));
    const { appUrl, systemUrl } = scene.user.database;
    const database = createDatabase({ url: appUrl, systemUrl, poolSize: 1, systemPoolSize: 1 });
    await deleteExpired(database);
    await database.close();
    await until('the export to be gone', async () => (await list(ada)).length === 0);
    expect(await scene.sql('select from data_exports where id = $1', [other.id])).toHaveLength(1);
  });
});
