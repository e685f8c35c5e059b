/** The operations of the comparison: three in TaskFlow's own schema, one in that of the shop. */
import { DEEP } from './shop.ts';
import { TASK_IDS, WORLDS } from './world.ts';

export type WorldName = 'taskflow' | 'shop';

export interface Operation {
  name: string;
  world: WorldName;
  /** What it costs a gateway at least. */
  about: string;
  /** Complete request bodies, sent in turn; one alone when identical requests are under way together. */
  bodies: readonly string[];
}

const bodyOf = (query: string, variables: object = {}) => JSON.stringify({ query, variables });
const inEachWorld = (make: (world: number) => string) => Array.from({ length: WORLDS }, (_, n) => make(n));

const TASK_OF_LIST = `id key title status priority dueAt
      assignee { id name email }`;

const LIST = `query B($search: String) {
  tasks(first: 50, search: $search) {
    nodes {
      ${TASK_OF_LIST}
      project { id key name }
    }
  }
}`;

const DEEPER_LIST = `query C($search: String) {
  tasks(first: 50, search: $search) {
    nodes {
      ${TASK_OF_LIST}
      project {
        id key name
        teams { id name members(first: 3) { nodes { role user { id name openTaskCount } } } }
      }
    }
  }
}`;

const distinct: readonly Operation[] = [
  {
    name: 'a',
    world: 'taskflow',
    about: 'one task: one fetch',
    bodies: TASK_IDS.map((id) =>
      bodyOf('query A($id: ID!) { task(id: $id) { id key title status priority dueAt version } }', { id }),
    ),
  },
  {
    name: 'b',
    world: 'taskflow',
    about: '50 tasks with assignee and project: one fetch, then two in parallel',
    bodies: inEachWorld((world) => bodyOf(LIST, { search: String(world) })),
  },
  {
    name: 'c',
    world: 'taskflow',
    about: 'as b, and from the project on to its teams and their members: one step of fetches more',
    bodies: inEachWorld((world) => bodyOf(DEEPER_LIST, { search: String(world) })),
  },
  {
    name: 'd',
    world: 'shop',
    about: 'deep, in the manner of the public benchmark: 16 fetches of the stock gateway',
    bodies: inEachWorld((season) => bodyOf(DEEP, { season })),
  },
];

const identical = (name: string): Operation[] =>
  distinct
    .filter((operation) => operation.name === name)
    .map(({ bodies, about, ...operation }) => ({
      ...operation,
      name: `${name}=`,
      about: `${about}; all requests under way are the same`,
      bodies: bodies.slice(0, 1),
    }));

/** A name with `=` is that of identical requests. */
export const operations: readonly Operation[] = [...distinct, ...identical('b'), ...identical('d')];
