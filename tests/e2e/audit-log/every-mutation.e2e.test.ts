/** Every mutation that succeeds leaves a line that names its request; the example of each is that of the isolation rules. */
import { subgraphs as NAMES } from '@taskflow/prisma/databases';
import { beforeAll, expect, it } from 'vitest';
import { casesOf } from '../../isolation/matrix/cases.ts';
import { operationOf } from '../../isolation/matrix/documents.ts';
import { aWorld, callerOf, type World } from '../../isolation/matrix/matrix.ts';
import { readSubjects } from '../../isolation/supergraph-schema.ts';
import { lookBehind } from '../../kit/behind.ts';
import { aSupergraph } from '../../kit/supergraph.ts';

const WIDE = {
  ...{ ROUTER_COST_MAX: '0', ROUTER_DEPTH_MAX: '30' },
  ...{ ROUTER_TOKENS_MAX: '20000', ROUTER_SELECTIONS_MAX: '100000', ROUTER_ALIASES_MAX: '1000' },
  ...{ ROUTER_DOCUMENT_BYTES_MAX: '524288' },
};

/** Those without a line, and why. */
const UNRECORDED: Readonly<Record<string, string>> = {
  notificationMarkRead: 'concerns nobody but the person, and happens all day',
  tokenRefresh: 'goes on with a session whose beginning is recorded; its reuse is a line',
  // The examples of these find nothing to change, which is no event.
  passwordResetRequest: 'nobody has the address; there is no log to write into',
  sessionRevokeOthers: 'there is no other session',
  teamMemberAdd: 'the person is in the team',
  userReinstate: 'the person is active',
};

let world: World;

beforeAll(async () => {
  const supergraph = await aSupergraph({ env: WIDE });
  world = await aWorld(supergraph, lookBehind(supergraph));
}, 60_000);

it('every mutation leaves a line of the audit log', async () => {
  const { schema, operations } = readSubjects();
  const mutations = operations.map(({ key }) => key).filter((key) => key.startsWith('Mutation.'));
  const silent: string[] = [];
  const requests = new Map<string, string | null>();
  for (const key of mutations) {
    const cases = await casesOf(operationOf(schema, key), 'ORG_ADMIN', world.sides);
    const [own] = cases.filter(({ kind, expected }) => kind === 'own' && expected.includes('yes'));
    if (!own) continue;
    const { client } = await callerOf(own, world.supergraph.client, world.sides);
    const { requestId, text } = await client.send(own.operation.document, own.args);
    expect(text, key).toContain('"success":true');
    requests.set(own.operation.name, requestId);
  }
  // Some lines are written after the answer, which must not tell by its time what it found.
  await world.behind.settled();
  for (const [name, requestId] of requests) {
    const lines = NAMES.map((subgraph) =>
      world.behind.rows(subgraph, 'select from audit_entries where request_id = $1', [requestId]),
    );
    if ((await Promise.all(lines)).flat().length === 0) silent.push(name);
  }
  expect(requests.size).toBeGreaterThan(10);
  expect(silent.sort()).toEqual(Object.keys(UNRECORDED).sort());
}, 120_000);
