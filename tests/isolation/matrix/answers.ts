/** Reads answers: what became of a call, what is in it, and which of its bytes differ from request to request. */

import { INSIDE, type Role } from '../rules/rule.ts';
import { fields, isLater } from '../rules/table.ts';
import { fieldOfResponseKey } from './documents.ts';

export interface Told {
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly errors: readonly { readonly extensions: { readonly code: string } }[];
}

/** `yes`, `null`, `empty` or a code, as in the table. */
export function outcomeOf(name: string, { data, errors }: Told): string {
  const [error] = errors;
  if (error) return error.extensions.code;
  const value = data?.[name];
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'empty' : 'yes';
  const { success, userErrors, nodes } = value as Record<string, unknown>;
  if (success === false) return codeOf(userErrors);
  if (Array.isArray(nodes) && nodes.length === 0) return 'empty';
  return 'yes';
}

function codeOf(userErrors: unknown): string {
  const [first] = userErrors as Record<string, unknown>[];
  const found = Object.entries(first ?? {}).find(([key]) => fieldOfResponseKey(key) === 'code');
  return String(found?.[1] ?? 'refused without a reason');
}

/** Differs from request to request, or is bound to the very arguments. */
const VOLATILE = /"((?:\w+__)?(?:requestId|cursor|startCursor|endCursor|syncId))":"[^"]*"/g;

/** The text of an answer with the id that was sent, and what differs from request to request, replaced. */
export const comparable = (text: string, sent: string): string =>
  text.replace(VOLATILE, '"$1":"…"').replaceAll(new RegExp(escaped(sent), 'gi'), 'ID');

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
export const idsIn = (text: string): Set<string> =>
  new Set((text.match(UUID) ?? []).map((id) => id.toLowerCase()));

/** Which fields have shown something to which role, and which objects were met at all. */
export interface Seen {
  readonly shown: Set<string>;
  readonly types: Set<string>;
}

export const seenKey = (field: string, role: Role): string => `${field} ${role}`;

/** Every field in an answer that shows more than its rule says, one sentence each. */
export function overstepsIn(data: unknown, viewer: { role: Role; id: string }, seen: Seen): string[] {
  const { role, id } = viewer;
  if (Array.isArray(data)) return data.flatMap((item) => overstepsIn(item, viewer, seen));
  if (typeof data !== 'object' || data === null) return [];
  const object = data as Record<string, unknown>;
  const { __typename: type } = object;
  const found: string[] = [];
  for (const [key, value] of Object.entries(object)) {
    if (key === '__typename') continue;
    if (typeof type === 'string') {
      seen.types.add(type);
      const field = `${type}.${fieldOfResponseKey(key)}`;
      if (!isNothing(value)) seen.shown.add(seenKey(field, role));
      const complaint = complaintOf(field, value, role, object.id === id);
      if (complaint) found.push(complaint);
    }
    found.push(...overstepsIn(value, viewer, seen));
  }
  return found;
}

function complaintOf(field: string, value: unknown, role: Role, isSelf: boolean): string | null {
  const cell = fields.get(field)?.[role];
  if (cell === undefined || isLater(cell) || cell === 'yes') return null;
  if (cell === 'absent') {
    // An outsider is given objects of their own; that none is ours is told by the ids in the text.
    return role === 'OUTSIDER' ? null : `${role} was given ${field}`;
  }
  if (isNothing(value) || (cell === 'self' && isSelf)) return null;
  return `${role} was shown ${field}${cell === 'self' ? ' of somebody else' : ''}`;
}

const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || (Array.isArray(value) && value.length === 0);

/**
 * Whether a payload has something in it depends on whether the mutation was allowed, which its own rule says; signs of life
 * come when they come.
 */
const DEPENDS_ON_OUTCOME = /Payload$|Error$|^StreamHeartbeat$|^ResyncRequired$/;

/** Fields that a role may read by their rule, that somebody was shown, and this role never: the rule promises too much. */
export function understatedIn({ shown }: Seen): string[] {
  return [...fields].flatMap(([field, row]) => {
    const isShownTo = (role: Role) => shown.has(seenKey(field, role));
    if (DEPENDS_ON_OUTCOME.test(field.split('.')[0] ?? '') || !INSIDE.some(isShownTo)) return [];
    return INSIDE.filter((role) => (row[role] === 'yes' || row[role] === 'self') && !isShownTo(role)).map(
      (role) => `${field}: by its rule ${role} may read it, and was never shown anything`,
    );
  });
}
