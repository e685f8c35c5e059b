/** A person's data over the whole supergraph: what they did in each subgraph is in the archive that they fetch, and in nobody else's. */
import { strFromU8, unzipSync } from 'fflate';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Behind, lookBehind } from '../../kit/behind.ts';
import { aMailbox, type TestMailbox } from '../../kit/mailbox.ts';
import { aMember, anOrg, aProject, aTask, aTeam, joinsTeam, type TestPerson } from '../../kit/seed.ts';
import { aSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

let mailbox: TestMailbox;
let behind: Behind;
let ada: TestPerson;
let grace: TestPerson;
/** Somebody else's organisation. */
let bob: TestPerson;

beforeAll(async () => {
  mailbox = await aMailbox();
  const supergraph = await aSupergraph({ mailbox });
  behind = lookBehind(supergraph);
  ada = await anOrg(supergraph.client, 'Ada');
  grace = await aMember(ada, 'MANAGER', 'Grace');
  bob = await anOrg(supergraph.client, 'Bob');
}, 60_000);

const EXPORT =
  'mutation { userDataExport(input: {}) { success userErrors { code message } dataExport { id state } } }';
const LIST = '{ dataExports { id state archive } }';

interface Export {
  id: string;
  state: string;
  archive: string | null;
}

const list = async ({ client }: TestPerson) =>
  (await client.ask<{ dataExports: Export[] }>(LIST)).dataExports;

type Row = Record<string, unknown>;
type Files = Record<'user' | 'org' | 'task' | 'notification', Record<string, Row[]>> & { text: string };

async function exportOf(person: TestPerson): Promise<Files> {
  await person.client.ask(EXPORT);
  const { archive } = await until('the archive', async () =>
    (await list(person)).find(({ state }) => state === 'READY'),
  );
  const files = Object.entries(unzipSync(Buffer.from(archive ?? '', 'base64')));
  const text = files.map(([, bytes]) => strFromU8(bytes)).join('\n');
  const parsed = files
    .filter(([name]) => name.endsWith('.json'))
    .map(([name, bytes]) => [name.replace('.json', ''), JSON.parse(strFromU8(bytes))]);
  return { ...Object.fromEntries(parsed), text };
}

describe('the archive of a person', () => {
  it('holds what they did in all four subgraphs, and a mail tells that it is ready', async () => {
    const team = await aTeam(ada, { name: 'Analytical engines' });
    await joinsTeam(ada, team.id, grace, 'MANAGER');
    await joinsTeam(grace, team.id, ada);
    const project = await aProject(ada, { name: 'Difference', teamIds: [team.id] });
    const created = await aTask(grace, { title: 'Written by Grace', projectId: project.id });
    const assigned = await aTask(ada, { title: 'Given to Grace', assigneeId: grace.id });
    const deleted = await aTask(grace, { title: 'Deleted by Grace' });
    await grace.client.ask(`mutation { taskDelete(input: { id: "${deleted.id}" }) { success } }`);
    await grace.client.ask('mutation { apiKeyCreate(input: { name: "Loom", scopes: [READ] }) { success } }');
    await aTask(ada, { title: 'None of her business' });
    const hidden = await aTask(bob, { title: 'Of another organisation' });
    await behind.settled();

    const { user, org, task, notification, text } = await exportOf(grace);
    expect(user).toMatchObject({
      account: [{ id: grace.id, email: grace.email }],
      member: [{ name: 'Grace', role: 'MANAGER', status: 'ACTIVE' }],
      invitesAccepted: [{ email: grace.email, createdBy: ada.id }],
      apiKeys: [{ name: 'Loom' }],
    });
    expect(user.sessions).toHaveLength(1);
    expect(org).toMatchObject({
      teamStays: [{ teamName: 'Analytical engines', role: 'MANAGER', leftAt: null }],
      peopleAddedToTeams: [{ userId: ada.id }],
    });
    const idsOf = (rows: Row[] | undefined) => (rows ?? []).map(({ id }) => id).sort();
    expect(idsOf(task.tasksCreated)).toEqual([created.id, deleted.id].sort());
    expect(idsOf(task.tasksAssigned)).toEqual([assigned.id]);
    expect(notification.notifications).toMatchObject([{ title: expect.stringContaining('Given to Grace') }]);
    expect(notification.mails).toEqual(
      expect.arrayContaining([expect.objectContaining({ template: 'INVITE', state: 'SENT' })]),
    );
    for (const [{ auditLog }, action] of [
      [user, 'api-key.created'],
      [org, 'team.member-added'],
      [task, 'task.deleted'],
    ] as const)
      expect(auditLog).toEqual(expect.arrayContaining([expect.objectContaining({ action })]));
    for (const foreign of ['None of her business', hidden.id, bob.id, bob.email, ada.email])
      expect(text).not.toContain(foreign);
    expect(await mailbox.mailTo(grace.email, 'DATA_EXPORT_READY')).toMatchObject({ token: null });
  });

  it('is read by them alone, and each reading is a line of the audit log', async () => {
    expect([await list(ada), await list(bob)]).toEqual([[], []]);
    const before = await downloads();
    await list(grace);
    expect(await downloads()).toBe(before + 1);
    await grace.client.ask('{ dataExports { id state } }');
    expect(await downloads()).toBe(before + 1);
  });

  it('is as large as what there is: it travels in as many facts as it takes', async () => {
    const titles = Array.from({ length: 60 }, (_, n) => `${n} ${'😀'.repeat(2_000)}`);
    for (const description of titles) await aTask(bob, { title: 'Large', description });
    const { task } = await exportOf(bob);
    const found = (task.tasksCreated ?? []).map(({ description }) => description);
    for (const description of titles) expect(found).toContain(description);
    const [{ pieces } = { pieces: 0 }] = await behind.rows<{ pieces: number }>(
      'task',
      `select count(*)::int as pieces from outbox where type = 'task-data.gathered' and org_id = $1`,
      [bob.organizationId],
    );
    expect(pieces).toBeGreaterThan(1);
    expect(await behind.rows('user', 'select from data_export_parts')).toEqual([]);
  });
});

const downloads = async () =>
  (await behind.rows('user', `select from audit_entries where action = 'data-export.downloaded'`)).length;
