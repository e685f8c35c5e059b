/** Lists over the whole way: the first page of a long list beside its thousandth. */
import type { Stops } from '@taskflow/dev/stops';
import { createHttpTarget, type HttpTarget } from '../http-target.ts';
import type { Installation } from '../installation.ts';
import { type Contender, compare, type Figures, type Schedule } from '../load.ts';
import type { Tenant } from '../tenant.ts';

export const PAGE_SIZE = 50;
export const LATER_PAGE = 1_000;
/** The most that the API gives at once. */
const STEP_MAX = 100;

const LIST = `query List($first: Int, $after: String) {
  tasks(first: $first, after: $after) {
    nodes { id key title status priority dueAt assignee { id name email } project { id key name } }
    pageInfo { endCursor hasNextPage }
  }
}`;

interface List {
  tasks: {
    nodes: { id: string; assignee: object | null; project: object | null }[];
    pageInfo: { endCursor: string | null };
  };
}

export async function compareLists(
  { url }: Installation,
  tenant: Tenant,
  schedule: Schedule,
  stops: Stops,
): Promise<Figures[]> {
  const target = await createHttpTarget(url, schedule.concurrency, stops, tenant.tokens.founder);
  const after = await cursorBefore(target, LATER_PAGE);
  const contenders = await Promise.all([
    contenderOf(target, 'page 1', null),
    contenderOf(target, `page ${LATER_PAGE}`, after),
  ]);
  return compare(contenders, schedule);
}

const bodyOf = (first: number, after: string | null) =>
  JSON.stringify({ query: LIST, variables: { first, after } });

async function ask(target: HttpTarget, first: number, after: string | null): Promise<List['tasks']> {
  const text = await target.post(bodyOf(first, after));
  const { data, errors } = JSON.parse(text) as { data?: List; errors?: unknown[] };
  if (errors || !data || data.tasks.nodes.length !== first) {
    throw new Error(`not the list that was asked for: ${text.slice(0, 1_000)}`);
  }
  return data.tasks;
}

/** Walks there as a client does, in larger steps. */
async function cursorBefore(target: HttpTarget, page: number): Promise<string | null> {
  let cursor: string | null = null;
  for (let left = (page - 1) * PAGE_SIZE; left > 0; left -= STEP_MAX) {
    cursor = (await ask(target, Math.min(left, STEP_MAX), cursor)).pageInfo.endCursor;
  }
  return cursor;
}

async function contenderOf(target: HttpTarget, name: string, after: string | null): Promise<Contender> {
  const { nodes } = await ask(target, PAGE_SIZE, after);
  if (nodes.some(({ assignee, project }) => !assignee || !project)) {
    throw new Error(`${name} has a task without its assignee or project`);
  }
  const body = bodyOf(PAGE_SIZE, after);
  const expected = rowsOf(await target.post(body));
  return {
    name,
    async send() {
      const text = await target.post(body);
      if (rowsOf(text) !== expected) throw new Error(`${name} has changed: ${text.slice(0, 1_000)}`);
    },
  };
}

/** The cursors behind the rows differ: a first page notes its own instant in them. */
const rowsOf = (text: string) => text.slice(0, text.indexOf('"pageInfo"'));
