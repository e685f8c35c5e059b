/**
 * What the four subgraphs of the comparison know, and how they say it: fixed rows, trivial resolvers.
 *
 * There are as many worlds as `search` has words for, alike but for their ids: requests for different worlds have no
 * fetch in common, so that nobody can answer them together.
 */
import type { GraphQLResolverMap } from '@apollo/subgraph';
import type { SubgraphName } from '@taskflow/schema/sdl';

/** More than the load generator has connections: no two of a turn are under way at the same time. */
export const WORLDS = 96;

/** A page of tasks as a board shows it: fewer people and projects than tasks, so that entities repeat. */
const TASKS = 50;
const PEOPLE = 20;
const PROJECTS = 10;
const TEAMS = 12;
const MEMBERS_OF_TEAM = 3;
const TEAMS_OF_PROJECT = 2;

interface Row {
  id: string;
  [field: string]: unknown;
}

interface World {
  people: Row[];
  teams: Row[];
  projects: Row[];
  tasks: Row[];
}

/** Each world has its own thousand of ids. */
const IDS_OF_WORLD = 1_000;
const moment = '2026-11-01T09:30:00.000Z';
const list = <T>(length: number, make: (n: number) => T): T[] => Array.from({ length }, (_, n) => make(n));
const at = <T>(rows: readonly T[], n: number): T => rows[n % rows.length] as T;

function makeWorld(world: number): World {
  const idOf = (kind: number, n: number) =>
    `0190a000-0000-7000-8${kind}00-${(world * IDS_OF_WORLD + n).toString(16).padStart(12, '0')}`;
  const people = list(PEOPLE, (n) => ({
    id: idOf(1, n),
    name: `Person ${n}`,
    email: `person-${n}@acme.test`,
    role: 'MEMBER',
    status: 'ACTIVE',
  }));
  const teams = list(TEAMS, (n) => ({
    id: idOf(2, n),
    name: `Team ${n}`,
    members: {
      nodes: list(MEMBERS_OF_TEAM, (m) => ({
        id: idOf(3, n * MEMBERS_OF_TEAM + m),
        role: m === 0 ? 'MANAGER' : 'MEMBER',
        user: { id: at(people, n * MEMBERS_OF_TEAM + m).id },
        joinedAt: moment,
      })),
    },
  }));
  const projects = list(PROJECTS, (n) => ({
    id: idOf(4, n),
    key: `PRJ${n}`,
    name: `Project ${n}`,
    teams: list(TEAMS_OF_PROJECT, (t) => at(teams, n + t * 5)),
  }));
  const tasks = list(TASKS, (n) => ({
    id: idOf(5, n),
    key: `PRJ${n % PROJECTS}-${n}`,
    title: `Write down what was decided about part ${n} of the plan`,
    status: at(['TODO', 'IN_PROGRESS', 'IN_REVIEW', 'DONE'], n),
    priority: at(['NONE', 'LOW', 'MEDIUM', 'HIGH', 'URGENT'], n),
    dueAt: n % 3 === 0 ? null : moment,
    version: 1 + (n % 7),
    assignee: n % 10 === 9 ? null : { id: at(people, n * 7).id },
    project: { id: at(projects, n * 3).id },
  }));
  return { people, teams, projects, tasks };
}

const worlds = list(WORLDS, makeWorld);

export const TASK_IDS: readonly string[] = worlds.map(({ tasks }) => at(tasks, 7).id);

const rowOf = (rows: keyof World) => {
  const byId = new Map(worlds.flatMap((world) => world[rows].map((row) => [row.id, row] as const)));
  return ({ id }: { id: string }) => byId.get(id) ?? null;
};
const findTask = rowOf('tasks');

interface TasksArgs {
  first: number;
  search?: string;
}

export const resolversOf: Record<SubgraphName, GraphQLResolverMap<unknown>> = {
  user: { User: { __resolveReference: rowOf('people') } },
  org: {
    Project: { __resolveReference: rowOf('projects') },
    Team: { __resolveReference: rowOf('teams') },
    User: { __resolveReference: ({ id }: Row) => ({ id, teams: [] }) },
  },
  task: {
    Query: {
      task: (_: unknown, args: { id: string }) => findTask(args),
      tasks: (_: unknown, { first, search }: TasksArgs) => ({
        nodes: at(worlds, Number(search ?? 0)).tasks.slice(0, first),
      }),
    },
    Task: { __resolveReference: findTask },
    User: { __resolveReference: ({ id }: Row) => ({ id, openTaskCount: id.charCodeAt(id.length - 1) % 9 }) },
  },
  notification: { User: { __resolveReference: ({ id }: Row) => ({ id, notificationCounts: null }) } },
};
