/** A person's data, with a process killed (SIGKILL) between asking and gathering, and between gathering and collecting. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Processes, startProcesses } from '@taskflow/dev/processes';
import { type Subgraph, subgraphs, variableOf } from '@taskflow/prisma/databases';
import { strFromU8, unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { anOrg, aTask } from '../kit/seed.ts';
import { until } from '../kit/until.ts';
import { type Behind, expectNothingLostOrTwice, select, untilAtRest } from './behind-the-story.ts';
import { createPatientClient } from './patient-client.ts';

const OWN_SERVERS = Object.fromEntries(
  ['REDIS_URL', 'POSTGRES_ADMIN_URL', ...subgraphs.map((name) => variableOf(name, 'app'))].map((name) => [
    name,
    '',
  ]),
);
/** The machine has neighbours. */
const BACK_MS = 40_000;

let dir: string;
let processes: Processes;
let behind: Behind;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'taskflow-data-export-'));
  processes = await startProcesses({ dir, ports: 'free', env: { LOG_LEVEL: 'fatal', ...OWN_SERVERS } });
  // The owner, because its policies show it every row.
  behind = Object.fromEntries(
    subgraphs.map((name) => [name, processes.env[variableOf(name, 'owner')]]),
  ) as Behind;
}, 120_000);
afterAll(async () => {
  await processes?.stop();
  await rm(dir, { recursive: true, force: true });
});

const sourcesOf = (exportId: string) =>
  select<{ source: string }>(
    behind.user,
    'select distinct source from data_export_parts where export_id = $1 order by 1',
    [exportId],
  ).then((rows) => rows.map(({ source }) => source));

const isPublished = async (source: Subgraph, type: string, exportId: string) => {
  const [row] = await select<{ isDone: boolean }>(
    behind[source],
    'select bool_and(published_at is not null) as "isDone" from outbox where type = $1 and aggregate_id = $2',
    [type, exportId],
  );
  return row?.isDone;
};

it('waits for whoever was killed, and is gathered once all are back', async () => {
  const client = createPatientClient(processes.routerUrl);
  const ada = await anOrg(client, 'Ada');
  const { title } = await aTask(ada, { title: 'Before the crash' });

  await processes.kill('task');
  const { userDataExport } = await ada.client.ask<{ userDataExport: { dataExport: { id: string } } }>(
    'mutation { userDataExport(input: {}) { success dataExport { id } } }',
  );
  const { id } = userDataExport.dataExport;
  await until('the others to have answered', async () => (await sourcesOf(id)).length === 2, BACK_MS);
  expect(await sourcesOf(id)).toEqual(['notification', 'org']);

  await processes.kill('user');
  await processes.restart('task');
  await until(
    'the data of task to wait for user',
    () => isPublished('task', 'task-data.gathered', id),
    BACK_MS,
  );
  expect(await sourcesOf(id)).toEqual(['notification', 'org']);

  await processes.restart('user');
  const archive = await until(
    'the archive',
    async () => {
      const { dataExports } = await ada.client.ask<{ dataExports: { archive: string | null }[] }>(
        '{ dataExports { archive } }',
      );
      return dataExports[0]?.archive;
    },
    BACK_MS,
  );
  const files = unzipSync(Buffer.from(archive, 'base64'));
  expect(JSON.parse(strFromU8(files['task.json'] ?? new Uint8Array()))).toMatchObject({
    tasksCreated: [{ title }],
  });
  await untilAtRest(behind);
  await expectNothingLostOrTwice(behind);
}, 180_000);
