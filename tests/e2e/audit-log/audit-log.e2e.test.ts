/** The audit log as an ORG_ADMIN reads it: four parts, one shape. */
import { randomUUID } from 'node:crypto';
import { verifyAudit } from '@taskflow/kit/audit-verify';
import { parseKeyRing } from '@taskflow/kit/config';
import { createSystemPool } from '@taskflow/kit/sql';
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Behind, lookBehind } from '../../kit/behind.ts';
import {
  aMember,
  anOrg,
  aProject,
  aTask,
  aTeam,
  changeTask,
  joinsTeam,
  type Named,
  type TestPerson,
  type TestTask,
} from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

let supergraph: TestSupergraph;
let behind: Behind;
let ada: TestPerson;
let grace: TestPerson;
let team: Named;
let task: TestTask;

interface Entry {
  id: string;
  occurredAt: string;
  action: string;
  actor: { name: string } | null;
  sessionId: string | null;
  target: { type: string; id: string | null };
  before: string | null;
  after: string | null;
  address: string | null;
  userAgent: string | null;
  requestId: string;
  isErased: boolean;
  isSealed: boolean;
  sequence: number | null;
  hash: string | null;
}
interface List {
  nodes: Entry[];
  totalCount: number;
  pageInfo: { endCursor: string | null; hasNextPage: boolean };
}
interface Exported {
  content: string;
  count: number;
  endCursor: string | null;
  hasNextPage: boolean;
}
type Args = { filter?: object; first?: number; after?: string | null };

const ENTRY = `id occurredAt action actor { name } sessionId target { type id } before after address userAgent requestId
  isErased isSealed sequence hash`;
const listOf = (part: Subgraph) =>
  `query Log($filter: AuditFilter, $first: Int, $after: String) { auditLog {
     part: ${part}(filter: $filter, first: $first, after: $after) { nodes { ${ENTRY} } totalCount pageInfo { endCursor hasNextPage } } } }`;
const exportOf = (part: Subgraph) =>
  `query Export($format: AuditExportFormat!, $filter: AuditFilter, $first: Int, $after: String) { auditLog {
     part: ${part}Export(format: $format, filter: $filter, first: $first, after: $after) { content count endCursor hasNextPage } } }`;

async function list(part: Subgraph, args: Args = {}, by = ada): Promise<List> {
  const { auditLog } = await by.client.ask<{ auditLog: { part: List } }>(listOf(part), args);
  return auditLog.part;
}
async function exported(part: Subgraph, args: Args & { format: string }, by = ada): Promise<Exported> {
  const { auditLog } = await by.client.ask<{ auditLog: { part: Exported } }>(exportOf(part), args);
  return auditLog.part;
}
const codeOf = async (query: string, variables: object, by = ada) =>
  (await by.client.send(query, variables)).errors[0]?.extensions.code;
const recorded = async (part: Subgraph, action: string, org = ada.organizationId) => {
  const rows = await behind.rows<{ details: string }>(
    part,
    `select d.details from audit_entries e join audit_details d on d.org_id = e.org_id and d.entry_id = e.id
     where e.org_id = $1 and e.action = $2 order by e.id`,
    [org, action],
  );
  return rows.map(({ details }) => JSON.parse(details));
};

beforeAll(async () => {
  supergraph = await aSupergraph();
  behind = lookBehind(supergraph);
  ada = await anOrg(supergraph.client, 'Ada');
  grace = await aMember(ada, 'MEMBER', 'Grace');
  team = await aTeam(ada, { name: 'Engineering' });
  const project = await aProject(ada, { teamIds: [team.id] });
  task = await aTask(ada, { title: 'Draw the board', projectId: project.id, assigneeId: grace.id });
  await changeTask(grace, { id: task.id, title: '=HYPERLINK("evil")', status: 'IN_PROGRESS' });
  await behind.settled();
}, 60_000);

describe('an entry', () => {
  it('says who did what to which thing, from where, and what changed', async () => {
    const { nodes } = await list('task');
    expect(nodes.map(({ action }) => action)).toEqual(['task.updated', 'task.created']);
    const [update] = nodes as [Entry, Entry];
    expect(update).toMatchObject({
      ...{ actor: { name: 'Grace' }, target: { type: 'task', id: task.id }, isErased: false },
      ...{ address: expect.stringMatching(/127\.0\.0\.1|::1/), userAgent: 'node' },
    });
    expect(JSON.parse(update.before ?? '')).toEqual({
      ...{ title: 'Draw the board', status: 'TODO', version: 1 },
    });
    expect(JSON.parse(update.after ?? '')).toEqual({
      ...{ title: '=HYPERLINK("evil")', status: 'IN_PROGRESS', version: 2 },
    });
    expect(Math.abs(Date.parse(update.occurredAt) - Date.now())).toBeLessThan(120_000);
  });

  it('of a team’s people says what they became', async () => {
    await joinsTeam(ada, team.id, grace, 'MANAGER');
    const { nodes } = await list('org', { filter: { action: { eq: 'team.member-added' } } });
    expect(nodes[0]?.target.type).toBe('team-member');
    expect(JSON.parse(nodes[0]?.after ?? '')).toMatchObject({ userId: grace.id, role: 'MANAGER' });
  });

  it('names the request as the answer and the logs do', async () => {
    const answer = await ada.client.send(
      'mutation Rename($input: TeamUpdateInput!) { teamUpdate(input: $input) { success } }',
      { input: { id: team.id, name: 'Engines' } },
    );
    const { nodes } = await list('org', { first: 2, filter: { action: { eq: 'team.updated' } } });
    expect(nodes[0]).toMatchObject({ requestId: answer.requestId, target: { type: 'team', id: team.id } });
    expect(nodes[0]?.sessionId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is sealed within seconds, and every chain verifies', async () => {
    await until('the seals', async () =>
      (await list('task')).nodes.every((entry) => entry.isSealed && entry.hash),
    );
    const ring = parseKeyRing('dev:insecure-for-production-audit-checkpoint-key');
    for (const source of NAMES) {
      const pool = createSystemPool({ connectionString: supergraph.databases[source].systemUrl });
      for await (const report of verifyAudit(pool, { source, ring })) expect(report.problems).toEqual([]);
      await pool.end();
    }
  });

  it('of people tells how they came and signed in, in the words of the facts', async () => {
    const { nodes } = await list('user');
    expect(nodes.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['organization.founded', 'invite.created', 'invite.accepted']),
    );
    const text = JSON.stringify(nodes);
    expect(text).not.toContain(ada.password);
    expect(text).not.toMatch(/"(rt|inv)_/);
  });

  it('whose details were erased says so, keeps its place, and its chain verifies', async () => {
    const person = await anOrg(supergraph.client, 'Erwin');
    await behind.settled();
    await behind.rows('user', 'delete from audit_details where org_id = $1', [person.organizationId]);
    const { nodes } = await list('user', {}, person);
    expect(nodes).not.toEqual([]);
    for (const entry of nodes) {
      expect(entry).toMatchObject({
        isErased: true,
        before: null,
        after: null,
        address: null,
        userAgent: null,
      });
    }
  });
});

describe('the log', () => {
  it.each(['MANAGER', 'MEMBER', 'GUEST'] as const)('is null to a %s, whatever is asked', async (role) => {
    const person = await aMember(ada, role);
    for (const args of [{}, { first: 1 }, { filter: { action: { eq: 'task.created' } } }]) {
      const { text } = await person.client.send(listOf('task'), args);
      expect(JSON.parse(text).data).toEqual({ auditLog: { part: null } });
      expect(text).toBe((await person.client.send(listOf('user'), args)).text);
    }
    const { data } = await person.client.send(exportOf('org'), { format: 'CSV' });
    expect(data).toEqual({ auditLog: { part: null } });
  });

  it('is open to a key of an ORG_ADMIN that has the scope ADMIN, and null to any other', async () => {
    const entriesOf = async (scopes: string[]) => {
      const { apiKeyCreate } = await ada.client.ask<{ apiKeyCreate: { secret: string } }>(
        'mutation Key($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { success userErrors { code } secret } }',
        { input: { name: scopes.join(), scopes } },
      );
      const { data } = await ada.client
        .as(apiKeyCreate.secret)
        .send<{ auditLog: { part: List | null } }>(listOf('task'));
      return data?.auditLog.part?.nodes.length ?? null;
    };
    expect(await entriesOf(['READ', 'WRITE'])).toBeNull();
    expect(await entriesOf(['READ', 'ADMIN'])).toBeGreaterThan(0);
  });

  it('is of one organisation', async () => {
    const other = await anOrg(supergraph.client, 'Zoe');
    const { nodes } = await list('user', { first: 100 }, other);
    expect(nodes.map(({ action }) => action)).toEqual(['organization.founded']);
    const found = await list('task', { filter: { target: { eq: task.id } } }, other);
    expect(found.nodes).toEqual([]);
  });

  it('is read page by page, newest first, each entry once, while new ones are written', async () => {
    const seen: Entry[] = [];
    let after: string | null = null;
    do {
      const page: List = await list('user', { first: 2, after });
      seen.push(...page.nodes);
      after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
      await ada.client.ask('{ users { nodes { id } } }');
    } while (after);
    const ids = seen.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort().reverse());
    expect(seen.at(-1)?.action).toBe('organization.founded');
    expect(seen.length).toBeGreaterThan(2);
  });

  it('goes on only for whom a cursor was made, with the filter that it was made for', async () => {
    const { pageInfo } = await list('user', { first: 1 });
    const after = pageInfo.endCursor;
    const colleague = await aMember(ada, 'ORG_ADMIN', 'Linus');
    const other = await anOrg(supergraph.client, 'Mallory');
    expect(await codeOf(listOf('user'), { first: 1, after }, ada)).toBeUndefined();
    for (const stranger of [colleague, other]) {
      expect(await codeOf(listOf('user'), { first: 1, after }, stranger)).toBe('BAD_USER_INPUT');
    }
    const filter = { action: { eq: 'login.succeeded' } };
    expect(await codeOf(listOf('user'), { first: 1, after, filter })).toBe('BAD_USER_INPUT');
    expect(await codeOf(listOf('task'), { first: 1, after })).toBe('BAD_USER_INPUT');
  });

  it.each<[string, object, (entry: Entry) => boolean]>([
    ['action', { action: { in: ['task.created'] } }, ({ action }) => action === 'task.created'],
    ['kind of thing', { targetType: { eq: 'task' } }, ({ target }) => target.type === 'task'],
    [
      'time',
      { occurredAt: { gte: '-PT1H' }, action: { neq: 'audit-log.read' } },
      ({ action }) => action !== 'audit-log.read',
    ],
  ])('can be filtered by %s', async (_, filter, passes) => {
    const all = (await list('task')).nodes;
    const found = (await list('task', { filter })).nodes;
    expect(found.map(({ id }) => id)).toEqual(all.filter(passes).map(({ id }) => id));
  });

  it('can be filtered by person, by thing, and by the exact time of an entry', async () => {
    const [update, creation] = (await list('task', { filter: { target: { eq: task.id } } })).nodes as [
      Entry,
      Entry,
    ];
    const actionsBy = async (filter: object) =>
      (await list('task', { filter: { targetType: { eq: 'task' }, ...filter } })).nodes.map(({ id }) => id);
    expect(await actionsBy({ actor: { eq: grace.id } })).toEqual([update.id]);
    expect(await actionsBy({ actor: { in: [grace.id, ada.id] } })).toEqual([update.id, creation.id]);
    expect(await actionsBy({ actor: { null: true } })).toEqual([]);
    expect(await actionsBy({ target: { eq: randomUUID() } })).toEqual([]);
    const { occurredAt } = update;
    expect(await actionsBy({ occurredAt: { gte: occurredAt } })).toEqual([update.id]);
    expect(await actionsBy({ occurredAt: { gt: occurredAt } })).toEqual([]);
    expect(await actionsBy({ occurredAt: { lt: occurredAt } })).toEqual([creation.id]);
    expect(await actionsBy({ occurredAt: { lte: occurredAt } })).toEqual([update.id, creation.id]);
  });

  it('counts only when asked, up to 10,000', async () => {
    const { totalCount } = await list('task', { first: 1, filter: { targetType: { eq: 'task' } } });
    expect(totalCount).toBe(2);
  });
});

describe('an export', () => {
  const filter = { targetType: { eq: 'task' } };

  it('as CSV is a table whose cells no spreadsheet runs', async () => {
    const { content, count, hasNextPage } = await exported('task', { format: 'CSV', filter });
    expect([count, hasNextPage]).toEqual([2, false]);
    const lines = content.split('\r\n');
    expect(lines[0]).toBe(
      'subgraph,id,occurredAt,action,actorId,sessionId,targetType,targetId,before,after,address,userAgent,requestId,isErased,sequence,hash',
    );
    expect(lines).toHaveLength(4);
    expect(lines[1]).toContain('task.updated');
    for (const cell of content.split(/[,\r\n]+/)) expect(cell).not.toMatch(/^"?[=+\-@]/);
  });

  it('as JSON lines has an object for each entry', async () => {
    const { content } = await exported('task', { format: 'JSON_LINES', filter });
    const objects = content
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(objects[0]).toMatchObject({
      ...{ subgraph: 'task', action: 'task.updated', targetId: task.id, actorId: grace.id },
      after: { title: '=HYPERLINK("evil")' },
    });
    expect(objects).toHaveLength(2);
  });

  it('in pages is the same text as in one', async () => {
    const whole = await exported('task', { format: 'CSV', filter });
    const first = await exported('task', { format: 'CSV', filter, first: 1 });
    expect(first.hasNextPage).toBe(true);
    const second = await exported('task', { format: 'CSV', filter, first: 1, after: first.endCursor });
    expect(first.content + second.content).toBe(whole.content);
    expect(second.hasNextPage).toBe(false);
  });

  it.each([0, -1, 1001])('of %d entries a page is refused', async (first) => {
    expect(await codeOf(exportOf('task'), { format: 'CSV', first })).toBe('BAD_USER_INPUT');
  });
});

describe('reading the log is in the log', () => {
  it('once for all pages of a list', async () => {
    const reader = await anOrg(supergraph.client, 'Rita');
    const first = await list('user', { first: 1, filter: { targetType: { neq: 'nothing' } } }, reader);
    await list(
      'user',
      { first: 1, after: first.pageInfo.endCursor, filter: { targetType: { neq: 'nothing' } } },
      reader,
    );
    const lines = await recorded('user', 'audit-log.read', reader.organizationId);
    expect(lines.map(({ after }) => after)).toEqual([{ filter: { targetType: { neq: 'nothing' } } }]);
    const { nodes } = await list('user', { filter: { action: { eq: 'audit-log.read' } } }, reader);
    expect(nodes[0]).toMatchObject({ actor: { name: 'Rita' }, target: { id: reader.organizationId } });
  });

  it('for each page of an export, with what was taken', async () => {
    const reader = await anOrg(supergraph.client, 'Ray');
    const first = await exported('user', { format: 'CSV', first: 1 }, reader);
    await exported('user', { format: 'CSV', first: 5, after: first.endCursor }, reader);
    const lines = await recorded('user', 'audit-log.exported', reader.organizationId);
    expect(lines.map(({ after }) => after)).toEqual([
      { filter: null, format: 'CSV', count: 1 },
      { filter: null, format: 'CSV', count: 0 },
    ]);
  });

  it('not for those who were shown nothing', async () => {
    const before = (await recorded('task', 'audit-log.read')).length;
    await grace.client.send(listOf('task'));
    expect(await recorded('task', 'audit-log.read')).toHaveLength(before);
  });
});
