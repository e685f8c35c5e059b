/** A hundred of everything, each beside the next: so that a list whose items were asked for one by one would show. */

import type { TestClient } from '../../kit/client.ts';
import {
  aMember,
  anOrg,
  aProject,
  aTask,
  aTeam,
  changeTask,
  joinsTeam,
  type TestPerson,
} from '../../kit/seed.ts';

const SIZE = 100;
/** Requests in flight while the scene is set: as many as keep two cores busy. */
const AT_ONCE = 6;

async function times<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) made[index] = await make(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return made;
}

/**
 * An administrator and 100 people. Each person has a team with a project with a task that they created and that is
 * assigned to the next person; and the administrator's inbox has 100 notifications, each of another actor about another
 * task.
 */
export async function aHundredOfEverything(client: TestClient): Promise<TestPerson> {
  const ada = await anOrg(client, 'Ada');
  const people = await times(SIZE, () => aMember(ada));
  await times(SIZE, async (n) => {
    const creator = people[n] as TestPerson;
    const team = await aTeam(ada);
    await joinsTeam(ada, team.id, creator);
    if (n === 0) await joinsTeam(ada, team.id, ada);
    const project = await aProject(ada, { teamIds: [team.id] });
    const task = await aTask(creator, { projectId: project.id, assigneeId: ada.id });
    await changeTask(ada, { id: task.id, assigneeId: (people[(n + 1) % SIZE] as TestPerson).id });
  });
  return ada;
}
