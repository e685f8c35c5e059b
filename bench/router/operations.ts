/** The three operations of the comparison, in TaskFlow's own schema. */
import { TASK_IDS } from './world.ts';

export interface Operation {
  name: string;
  /** What it costs a gateway at least. */
  about: string;
  /** Complete request bodies, sent in turn. */
  bodies: readonly string[];
}

const bodyOf = (query: string, variables: object = {}) => JSON.stringify({ query, variables });

const TASK_OF_LIST = `id key title status priority dueAt
      assignee { id name email }`;

export const operations: readonly Operation[] = [
  {
    name: 'a',
    about: 'one task: one fetch',
    bodies: TASK_IDS.map((id) =>
      bodyOf('query A($id: ID!) { task(id: $id) { id key title status priority dueAt version } }', { id }),
    ),
  },
  {
    name: 'b',
    about: '50 tasks with assignee and project: one fetch, then two in parallel',
    bodies: [
      bodyOf(`query B {
  tasks(first: 50) {
    nodes {
      ${TASK_OF_LIST}
      project { id key name }
    }
  }
}`),
    ],
  },
  {
    name: 'c',
    about: 'as b, and from the project on to its teams and their members: one step of fetches more',
    bodies: [
      bodyOf(`query C {
  tasks(first: 50) {
    nodes {
      ${TASK_OF_LIST}
      project {
        id key name
        teams { id name members(first: 3) { nodes { role user { id name openTaskCount } } } }
      }
    }
  }
}`),
    ],
  },
];
