/** What people may write into a task: checked here with the field's name, and by the CHECKs of the table. */
import { isInvisible } from '@taskflow/kit/visible-text';
import type { TaskPriority, TaskStatus, TaskValues } from '../data/tasks.ts';
import { badInput } from './refusals.ts';

export interface TaskCreate {
  id?: string | null;
  title: string;
  description?: string | null;
  projectId?: string | null;
  assigneeId?: string | null;
  status?: TaskStatus | null;
  priority?: TaskPriority | null;
  tags?: readonly string[] | null;
  dueAt?: Date | null;
  clientMutationId?: string | null;
}

/** Absent keeps, null clears. */
export interface TaskUpdate extends Omit<TaskCreate, 'title' | 'tags' | 'id'> {
  id: string;
  expectedVersion?: number | null;
  title?: string | null;
  addTags?: readonly string[] | null;
  removeTags?: readonly string[] | null;
}

export interface TaskDelete {
  id: string;
  expectedVersion?: number | null;
  clientMutationId?: string | null;
}

/** References are checked elsewhere, by looking. */
export type OwnValues = Omit<TaskValues, 'assigneeId' | 'projectId'>;

/** The same numbers as in the CHECKs and in the SDL. */
const TITLE_LENGTH_MAX = 500;
const DESCRIPTION_LENGTH_MAX = 20_000;
const TAGS_MAX = 50;
const TAG_LENGTH_MAX = 64;
/** Times before and after are mistakes, and not every program can write them. */
const DUE_YEARS = { first: 1970, last: 9999 };

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const CONTROL = /\p{Cc}/u;

export function newIdOf(id: string): string {
  if (!UUID_V7.test(id)) throw badInput('id', 'The id must be a UUIDv7.');
  return id.toLowerCase();
}

export function valuesOfNew(input: TaskCreate): OwnValues {
  return {
    title: titleOf(input.title),
    description: descriptionOf(input.description),
    status: input.status ?? 'TODO',
    priority: input.priority ?? 'NONE',
    tags: checkedCount(tagsOf(input.tags, 'tags'), 'tags'),
    dueAt: dueAtOf(input.dueAt),
  };
}

/** A function from the present values to the wanted ones, with everything checked that can be without them. */
export function changeOf(input: TaskUpdate): (present: OwnValues) => OwnValues {
  if (input.status === null) throw badInput('status', 'The status cannot be cleared.');
  const title = input.title === undefined ? undefined : titleOf(input.title);
  const description = input.description === undefined ? undefined : descriptionOf(input.description);
  const dueAt = input.dueAt === undefined ? undefined : dueAtOf(input.dueAt);
  const added = tagsOf(input.addTags, 'addTags');
  const removed = tagsOf(input.removeTags, 'removeTags');
  if (added.some((tag) => removed.includes(tag))) {
    throw badInput('removeTags', 'A label cannot be added and removed at once.');
  }
  return (present) => {
    const kept = present.tags.filter((tag) => !removed.includes(tag));
    return {
      title: title ?? present.title,
      description: description === undefined ? present.description : description,
      status: input.status ?? present.status,
      priority: input.priority === undefined ? present.priority : (input.priority ?? 'NONE'),
      tags: checkedCount(sortedOnce([...kept, ...added]), 'addTags'),
      dueAt: dueAt === undefined ? present.dueAt : dueAt,
    };
  };
}

function titleOf(text: string | null): string {
  const title = text?.trim() ?? '';
  if (!hasLength(title, 1, TITLE_LENGTH_MAX) || CONTROL.test(title)) {
    throw badInput('title', `The title must be one line of 1 to ${TITLE_LENGTH_MAX} characters.`);
  }
  if (isInvisible(title)) throw badInput('title', 'The title must have a character that can be seen.');
  return storable(title, 'title');
}

function descriptionOf(text: string | null | undefined): string | null {
  if (text == null) return null;
  if (!hasLength(text, 0, DESCRIPTION_LENGTH_MAX)) {
    throw badInput('description', `The description has at most ${DESCRIPTION_LENGTH_MAX} characters.`);
  }
  return storable(text, 'description');
}

function tagsOf(texts: readonly string[] | null | undefined, field: string): string[] {
  const tags = (texts ?? []).map((text) => text.trim());
  for (const tag of tags) {
    if (!hasLength(tag, 1, TAG_LENGTH_MAX) || CONTROL.test(tag)) {
      throw badInput(field, `A label must have 1 to ${TAG_LENGTH_MAX} characters in one line.`);
    }
    if (isInvisible(tag)) throw badInput(field, 'A label must have a character that can be seen.');
    storable(tag, field);
  }
  return sortedOnce(tags);
}

function checkedCount(tags: string[], field: string): string[] {
  if (tags.length > TAGS_MAX) throw badInput(field, `A task has at most ${TAGS_MAX} labels.`);
  return tags;
}

function dueAtOf(dueAt: Date | null | undefined): Date | null {
  if (dueAt == null) return null;
  const year = dueAt.getUTCFullYear();
  if (!(year >= DUE_YEARS.first && year <= DUE_YEARS.last)) {
    throw badInput('dueAt', `The time must lie in the years ${DUE_YEARS.first} to ${DUE_YEARS.last}.`);
  }
  return dueAt;
}

/** In characters as PostgreSQL counts them; the first comparison keeps a huge text from being taken apart. */
function hasLength(text: string, min: number, max: number): boolean {
  if (text.length > 2 * max) return false;
  const { length } = [...text];
  return length >= min && length <= max;
}

/** PostgreSQL keeps neither U+0000 nor half a surrogate pair. */
function storable(text: string, field: string): string {
  if (text.includes('\0') || !text.isWellFormed()) {
    throw badInput(field, 'The text contains a character that cannot be kept.');
  }
  return text;
}

const sortedOnce = (tags: readonly string[]): string[] => [...new Set(tags)].sort();
