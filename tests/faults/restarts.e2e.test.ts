/**
 * Five processes and two servers, each killed (SIGKILL) in the middle of the story and started again. The processes are
 * started once; their Redis keeps nothing on disk, so that killing it empties it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROCESSES, type Processes, startProcesses } from '@taskflow/dev/processes';
import { subgraphs, variableOf } from '@taskflow/prisma/databases';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tellStory } from '../e2e/story/story.ts';
import { createTestClient } from '../kit/client.ts';
import { aMember, anOrg, aTask } from '../kit/seed.ts';
import { until } from '../kit/until.ts';
import { type Behind, expectNothingLostOrTwice, select, titlesOf, untilAtRest } from './behind-the-story.ts';
import { type Told, tellEnduringStory } from './enduring-story.ts';
import { createPatientClient } from './patient-client.ts';

/** Servers of our own, whatever the environment names: others are not ours to kill. */
const OWN_SERVERS = Object.fromEntries(
  ['REDIS_URL', 'POSTGRES_ADMIN_URL', ...subgraphs.map((name) => variableOf(name, 'app'))].map((name) => [
    name,
    '',
  ]),
);
/** Parts that no mutation needs: while they are away, so many answers are enough to know it. */
const NOT_NEEDED: readonly string[] = ['notification', 'redis'];
const ANSWERS_DURING_OUTAGE = 6;

let dir: string;
let processes: Processes;
let behind: Behind;
const told: Told[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'taskflow-restarts-'));
  processes = await startProcesses({ dir, ports: 'free', env: { LOG_LEVEL: 'fatal', ...OWN_SERVERS } });
  const { env } = processes;
  // The owner, because its policies show it every row.
  const ownerUrls = subgraphs.map((name) => [name, env[variableOf(name, 'owner')]]);
  behind = Object.fromEntries(ownerUrls);
}, 120_000);
afterAll(async () => {
  await processes?.stop();
  await rm(dir, { recursive: true, force: true });
});

describe('any one part may be killed in the middle of the story', () => {
  it.each([...PROCESSES, 'redis', 'postgres'] as const)(
    '%s is, and both the story under way and one that begins meanwhile complete',
    async (part) => {
      const client = createPatientClient(processes.routerUrl);
      const middle = Promise.withResolvers<void>();
      const underWay = tellEnduringStory(client, { onMiddle: middle.resolve });
      await Promise.race([middle.promise, underWay]);
      const before = { ...client.patience };
      await processes.kill(part);
      const both = Promise.all([underWay, tellEnduringStory(client)]);
      const outage = until('somebody to meet the outage', () => {
        const { setbacks, answers } = client.patience;
        return NOT_NEEDED.includes(part)
          ? answers >= before.answers + ANSWERS_DURING_OUTAGE
          : setbacks > before.setbacks;
      });
      await Promise.race([outage, both.then(() => outage)]).finally(() => processes.restart(part));
      told.push(...(await both));
    },
    60_000,
  );

  it('what Redis had and nobody had read is taken from PostgreSQL again', async () => {
    const client = createTestClient(processes.routerUrl);
    const ada = await anOrg(client, 'Ada');
    const grace = await aMember(ada, 'MEMBER', 'Grace');
    await processes.kill('notification');
    const titles: string[] = [];
    for (let n = 0; n < 10; n++) {
      const { key, title } = await aTask(ada, { assigneeId: grace.id });
      titles.push(`${key} was assigned to you: ${title}`);
    }
    await until('Redis to have what nobody has read', async () => {
      const waiting = await select(behind.task, 'select from outbox where published_at is null');
      return waiting.length === 0;
    });
    await processes.kill('redis');
    await processes.restart('redis');
    await processes.restart('notification');
    told.push({ graceId: grace.id, titles: titles.sort() });
    await untilAtRest(behind);
  }, 60_000);

  it('afterwards every fact is numbered and published, handled once by all it concerns, and every inbox is exact', async () => {
    await untilAtRest(behind);
    await expectNothingLostOrTwice(behind);
    expect(told).toHaveLength(2 * (PROCESSES.length + 2) + 1);
    for (const { graceId, titles } of told) expect(await titlesOf(behind, graceId)).toEqual(titles);
  }, 60_000);

  it('and the whole story is told once more, by impatient people', async () => {
    await tellStory(createTestClient(processes.routerUrl));
  }, 60_000);
});
