/** From the table to calls: for each operation and role the call with own things, and one for each id of each other kind. */
import { randomUUID } from 'node:crypto';
import type { TestRole } from '../../kit/seed.ts';
import { type Args, type IdRule, type Outcome, ROLES, type Role } from '../rules/rule.ts';
import { ids as idRules, isLater, operations as operationRules } from '../rules/table.ts';
import type { IdPath, Operation } from './documents.ts';
import type { Scene } from './scene.ts';

/** `own` is the example itself. */
export const STRANGE = ['invisible', 'foreign', 'absent', 'malformed'] as const;
export type Strange = (typeof STRANGE)[number];
export type Kind = 'own' | Strange;

export interface Case {
  readonly operation: Operation;
  readonly role: Role;
  readonly kind: Kind;
  /** `input.teamIds`; empty for `own`. */
  readonly at: string;
  readonly args: Args;
  /** The id that was put there. */
  readonly sent: string;
  readonly expected: readonly (Outcome | string)[];
  /** Answers of one group must be the same bytes; null where they cannot be. */
  readonly group: string | null;
  /** The id that was sent becomes that of a new thing. */
  readonly isGiven: boolean;
  /** Writes when it succeeds, and is expected to. */
  readonly isWrite: boolean;
}

export interface Sides {
  readonly ours: Scene;
  readonly theirs: Scene;
}

/** Whose things a role's calls are made of, and as whom it sees them. An outsider's own things are theirs. */
export const sideOf = (role: Role, { ours, theirs }: Sides): Scene => (role === 'OUTSIDER' ? theirs : ours);

export const personRoleOf = (role: Role): TestRole =>
  role === 'MANAGER' || role === 'MEMBER' || role === 'GUEST' ? role : 'ORG_ADMIN';

export const triedRoles = (operation: Operation): Role[] =>
  ROLES.filter((role) => !isLater(operationRules.get(operation.key)?.roles[role]));

/** All calls of one operation by one role. Makes the fresh things that they need. */
export async function casesOf(operation: Operation, role: Role, sides: Sides): Promise<Case[]> {
  const rule = operationRules.get(operation.key);
  const cell = rule?.roles[role];
  if (!rule || cell === undefined || isLater(cell)) return [];
  const exampleOf = async (scene: Scene): Promise<Args> =>
    (await rule.example?.(scene.mineOf(personRoleOf(role)))) ?? {};
  const side = sideOf(role, sides);
  const own: Case = {
    ...{ operation, role, kind: 'own', at: '', sent: '', group: null, isGiven: false },
    args: role === 'OUTSIDER' ? await exampleOfOutsider(operation.key, sides) : await exampleOf(side),
    expected: [cell],
    isWrite: operation.kind === 'Mutation',
  };
  const args = role === 'OUTSIDER' ? await exampleOf(side) : own.args;
  // An outsider at home is an ORG_ADMIN.
  const atHome = role === 'OUTSIDER' ? (rule.roles.ORG_ADMIN as Outcome) : cell;
  const strange = operation.idPaths.flatMap((path) =>
    STRANGE.map((kind) => strangeCase({ operation, role, cell: atHome, path, kind, args, sides })),
  );
  const controls = role === 'ORG_ADMIN' && cell === 'yes' ? controlsOf(operation, args, side) : [];
  return [own, ...controls, ...(await Promise.all(strange)).filter((one) => one !== null)];
}

/**
 * Where an id may be left out and the example does: with an own one there. It must be found, or a refusal of strange ones
 * would prove nothing; whether the rest of the call makes sense then is another matter.
 */
function controlsOf(operation: Operation, args: Args, side: Scene): Case[] {
  if (operation.kind === 'Subscription') return [];
  return operation.idPaths.flatMap((path) => {
    const rule = idRules.get(path.rule);
    if (!rule || rule.means === 'makes' || isGivenIn(args, path.path)) return [];
    const own = side.mineOf('ORG_ADMIN').own(rule.thing);
    return {
      ...{ operation, role: 'ORG_ADMIN', kind: 'own', at: path.path.join('.'), sent: own },
      args: withId(args, path, own, rule),
      expected: ['yes', 'empty', 'BAD_USER_INPUT'],
      ...{ group: null, isGiven: false, isWrite: operation.kind === 'Mutation' },
    };
  });
}

function isGivenIn(args: Args, [key = '', ...rest]: readonly string[]): boolean {
  const value = args[key];
  if (rest.length === 0 || value === undefined) return value !== undefined;
  return isGivenIn(value as Args, rest);
}

/** Names our things, as itself. */
async function exampleOfOutsider(key: string, { ours, theirs }: Sides): Promise<Args> {
  const [our, their] = [ours.mineOf('ORG_ADMIN'), theirs.mineOf('ORG_ADMIN')];
  return (await operationRules.get(key)?.example?.({ ...their, own: our.own, fresh: our.fresh })) ?? {};
}

interface StrangeOptions {
  operation: Operation;
  role: Role;
  cell: Outcome;
  path: IdPath;
  kind: Strange;
  args: Args;
  sides: Sides;
}

async function strangeCase(options: StrangeOptions): Promise<Case | null> {
  const { operation, role, cell, path, kind, args, sides } = options;
  const rule = idRules.get(path.rule);
  if (!rule) throw new Error(`${path.rule} has no rule`);
  const sent = await idOf(kind, rule, role, sides);
  if (sent === null) return null;
  const at = path.path.join('.');
  return {
    ...{ operation, role, kind, at, sent },
    args: withId(args, path, sent, rule),
    expected: expectedOf(operation, cell, rule, kind, role),
    group: rule.means === 'makes' ? null : `${operation.key} ${role} ${at}`,
    isGiven: rule.means === 'makes',
    isWrite: operation.kind === 'Mutation' && rule.means !== 'names',
  };
}

async function idOf(
  kind: Strange,
  { thing, means }: IdRule,
  role: Role,
  sides: Sides,
): Promise<string | null> {
  if (kind === 'malformed') return 'no-id-at-all';
  if (kind === 'absent') return absentId();
  if (kind === 'invisible') return sideOf(role, sides).invisible(thing, personRoleOf(role));
  const { own, fresh } = (role === 'OUTSIDER' ? sides.ours : sides.theirs).mineOf('ORG_ADMIN');
  // An id that is given to a new thing is in both organisations from then on.
  return means === 'makes' ? fresh(thing) : own(thing);
}

/** A UUIDv7 that nothing has: only such a one may be given to a new thing. */
const absentId = (): string => `01990000-0000-7${randomUUID().slice(15)}`;

function expectedOf(operation: Operation, cell: Outcome, rule: IdRule, kind: Strange, role: Role): string[] {
  if (cell === 'UNAUTHENTICATED') return [cell];
  if (rule.means === 'compares') return [cell, 'empty'];
  if (rule.means === 'makes') {
    if (cell !== 'yes') return [cell];
    return [kind === 'foreign' || kind === 'absent' ? 'yes' : 'BAD_USER_INPUT'];
  }
  if (operation.kind === 'Query') return cell === 'yes' || cell === 'null' ? ['null', 'empty'] : [cell];
  // By role alone, before anything is looked for.
  return role === 'ORG_ADMIN' || role === 'OUTSIDER' ? ['NOT_FOUND'] : ['NOT_FOUND', 'FORBIDDEN'];
}

/** The arguments with the id in its place; in a list that is named, beside what is there. */
function withId(args: Args, { path, isList }: IdPath, id: string, { means }: IdRule): Args {
  const [key = '', ...rest] = path;
  if (rest.length > 0) {
    const inner = withId((args[key] as Args | undefined) ?? {}, { path: rest, rule: '', isList }, id, {
      means,
      thing: 'User',
    });
    return { ...args, [key]: inner };
  }
  const beside = isList && means === 'names' ? ((args[key] as string[] | undefined) ?? []) : [];
  return { ...args, [key]: isList ? [...beside, id] : id };
}
