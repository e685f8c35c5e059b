/** The rows of all rule files as the tests use them: merged, with every column filled. */
import { conventions } from './conventions.ts';
import { notification } from './notification.ts';
import { org } from './org.ts';
import {
  type FullRow,
  type IdRule,
  INSIDE,
  type Later,
  type OperationRule,
  type Outcome,
  ROLES,
  type Row,
  type Rules,
  type Sight,
} from './rule.ts';
import { task } from './task.ts';
import { user } from './user.ts';

export const FILES: Readonly<Record<string, Rules>> = { conventions, user, org, task, notification };

export interface FullOperation extends Omit<OperationRule, 'roles'> {
  readonly roles: FullRow<Outcome>;
}

/** Fills the columns that are not written. */
function complete<Cell>(row: Row<Cell>, absent: Cell, unless: Partial<FullRow<Cell>> = {}): FullRow<Cell> {
  const cellOf = (role: (typeof ROLES)[number]): Cell | Later => {
    const written = row[role];
    if (written !== undefined) return written;
    // Who is never given the object reads none of its fields.
    if (unless[role] === 'absent') return unless[role];
    if (role === 'API_KEY' && row.ORG_ADMIN !== undefined) return row.ORG_ADMIN;
    const isInside = (INSIDE as readonly string[]).includes(role);
    return (isInside ? row.inside : undefined) ?? unless[role] ?? absent;
  };
  return Object.fromEntries(ROLES.map((role) => [role, cellOf(role)])) as FullRow<Cell>;
}

function merged<Value>(pick: (rules: Rules) => Readonly<Record<string, Value>> | undefined) {
  const found = new Map<string, Value>();
  for (const [file, rules] of Object.entries(FILES)) {
    for (const [key, value] of Object.entries(pick(rules) ?? {})) {
      if (found.has(key)) throw new Error(`${key} has a second rule in tests/isolation/rules/${file}.ts`);
      found.set(key, value);
    }
  }
  return found;
}

/** By `Query.task`. */
export const operations: ReadonlyMap<string, FullOperation> = new Map(
  [...merged((rules) => rules.operations)].map(([key, rule]) => [
    key,
    { ...rule, roles: complete(rule.roles, 'UNAUTHENTICATED') },
  ]),
);

/** By `TaskUpdateInput.id` or `Query.task.id`. */
export const ids: ReadonlyMap<string, IdRule> = merged((rules) => rules.ids);

/** By `Task.title`. A type may have fields in several files: each file has its own row for the type. */
export const fields: ReadonlyMap<string, FullRow<Sight>> = new Map(
  Object.values(FILES).flatMap(({ types = {} }) =>
    Object.entries(types).flatMap(([type, rule]) => {
      const row = complete(rule.roles, 'absent');
      return Object.entries(rule.fields).flatMap(([names, exceptions]) =>
        names.split(/\s+/).map((name) => [`${type}.${name}`, complete(exceptions, 'absent', row)] as const),
      );
    }),
  ),
);

/** By `Query.apiKeyIdentify`. */
export const hidden: ReadonlyMap<string, string> = merged((rules) => rules.hidden);

/** The members of each union, and the types of each interface. */
export const unions: ReadonlyMap<string, readonly string[]> = new Map(
  [...merged((rules) => rules.unions)].map(([name, members]) => [name, members.split(/\s+/)]),
);

/** By `task.Task`: subgraph and type. */
export const entities: ReadonlyMap<string, FullRow<'yes' | 'null'>> = new Map(
  Object.entries(FILES).flatMap(([file, { entities = {} }]) =>
    Object.entries(entities).map(([type, row]) => [`${file}.${type}`, complete(row, 'null')] as const),
  ),
);

export const isLater = (cell: unknown): cell is Later =>
  typeof cell === 'object' && cell !== null && 'later' in cell;
