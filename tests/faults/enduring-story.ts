/**
 * The story, told by people who do not give up: whatever is killed meanwhile, everything they do is done once, and Grace
 * hears of everything once. Several tasks move at the same time, so that there is always something in the air.
 */
import { expect } from 'vitest';
import { aProject, aTask, aTeam, changeTask, joinsTeam, type TestPerson } from '../kit/seed.ts';
import { until } from '../kit/until.ts';
import { BACK_MS, foundsOrg, joins, type PatientClient, untilAccepted } from './patient-client.ts';
import { type Listening, listen } from './patient-listener.ts';

const TASK_EVENTS = `subscription TaskEvents($after: String) { taskEvents(after: $after) { __typename
  ... on StreamHeartbeat { cursor } ... on ResyncRequired { cursor reason }
  ... on TaskChange { cursor taskId version
    task { key assignee { name notificationCounts { unread } } project { name } } } } }`;

const NOTIFICATION_EVENTS = `subscription NotificationEvents($after: String) { notificationEvents(after: $after) {
  __typename ... on StreamHeartbeat { cursor } ... on ResyncRequired { cursor reason }
  ... on NotificationChange { cursor notification { id title } } } }`;

/** What must be found when everything has come to rest. */
export interface Told {
  readonly graceId: string;
  /** Of her inbox, sorted. */
  readonly titles: readonly string[];
}

/** Tasks that move side by side; all but the first are finished. */
const LANES = 4;

export async function tellEnduringStory(
  client: PatientClient,
  { onMiddle }: { onMiddle?(): void } = {},
): Promise<Told> {
  const ada = await foundsOrg(client, 'Ada');
  const grace = await joins(ada, 'Grace');
  const engineering = await untilAccepted(() => aTeam(ada, { name: 'Engineering' }));
  const frontend = await untilAccepted(() => aTeam(ada, { parentTeamId: engineering.id }));
  await untilAccepted(() => joinsTeam(ada, frontend.id, grace));
  const project = await untilAccepted(() => aProject(ada, { name: 'Board', teamIds: [frontend.id] }));

  const board = listen(grace, TASK_EVENTS);
  const bell = listen(grace, NOTIFICATION_EVENTS);
  try {
    await Promise.all([board.attending(), bell.attending()]);
    const lanes = Array.from({ length: LANES }, (_, lane) =>
      moveTask(ada, grace, { projectId: project.id, isFinished: lane > 0, onMade: onMiddle }),
    );
    await Promise.race(lanes);
    board.cut();
    const moved = await Promise.all(lanes);
    const titles = moved.flatMap((task) => task.titles).sort();
    await Promise.all([
      hearsEachOnce(board, moved),
      isToldOnce(bell, titles),
      progressFollows(ada, project.id),
    ]);
    return { graceId: grace.id, titles };
  } finally {
    await Promise.all([board.stop(), bell.stop()]);
  }
}

interface Moved {
  taskId: string;
  version: number;
  titles: string[];
}

/** Made for Grace, begun, renamed, and finished. */
async function moveTask(
  ada: TestPerson,
  grace: TestPerson,
  {
    projectId,
    isFinished,
    onMade,
  }: { projectId: string; isFinished: boolean; onMade: (() => void) | undefined },
): Promise<Moved> {
  const { id, key, title } = await untilAccepted(() => aTask(ada, { projectId, assigneeId: grace.id }));
  onMade?.();
  const titles = [`${key} was assigned to you: ${title}`, `${key} is in progress: ${title}`];
  await changeTask(ada, { id, status: 'IN_PROGRESS' });
  const renamed = `${title}, renamed`;
  let { version } = await changeTask(ada, { id, title: renamed });
  if (isFinished) {
    ({ version } = await changeTask(ada, { id, status: 'DONE' }));
    titles.push(`${key} is done: ${renamed}`);
  }
  return { taskId: id, version, titles };
}

async function hearsEachOnce(board: Listening, moved: Moved[]): Promise<void> {
  await board.heard(moved.reduce((sum, { version }) => sum + version, 0));
  const versions: Record<string, number[]> = {};
  for (const { taskId, version } of board.changes) versions[taskId] = [...(versions[taskId] ?? []), version];
  const expected = moved.map(({ taskId, version }) => [
    taskId,
    Array.from({ length: version }, (_, n) => n + 1),
  ]);
  expect(versions).toEqual(Object.fromEntries(expected));
}

async function isToldOnce(bell: Listening, titles: string[]): Promise<void> {
  await bell.heard(titles.length);
  expect(bell.changes.map(({ notification }) => notification?.title).sort()).toEqual(titles);
}

async function progressFollows(ada: TestPerson, projectId: string): Promise<void> {
  const progress = (100 * (LANES - 1)) / LANES;
  await until(
    'the progress of the project',
    async () => {
      const { project } = await ada.client.ask<{ project: { progress: number } }>(
        'query Progress($id: ID!) { project(id: $id) { progress } }',
        { id: projectId },
      );
      return project.progress === progress;
    },
    BACK_MS,
  );
}
