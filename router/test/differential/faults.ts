// What goes wrong in the subgraphs of one case, decided by meaning and not by call.
//
// The executors may ask in different calls (one sends a representation once, or several entity fetches as one request),
// and have to hear the same: a fault hangs on a subgraph and the kind of request, or on an object and its field.
//
//   calls       every entity fetch (or every other request) of a subgraph fails in this way
//   fields      in `share` of all field values: an error of a resolver, or something that no honest subgraph says
//   entities    `share` of all entities are not found, or their resolver fails

import fc from 'fast-check';
import { type GraphQLOutputType, getNamedType, isAbstractType, isLeafType } from 'graphql';
import { drawn, isDrawn } from './hash.ts';

export const callFaults = [
  'rejected',
  'data null',
  'no data',
  'error without path',
  'error with a path',
  'entities short',
  'entities long',
  'entities no list',
] as const;
export type CallFault = (typeof callFaults)[number];

/** `error` is an honest failure of a resolver; the others are said behind the back of the subgraph's own executor. */
export const fieldFaults = [
  'error',
  'null',
  'wrong scalar',
  'scalar',
  'list',
  'object',
  'null item',
  'unknown enum value',
  'typename missing',
  'typename unknown',
] as const;
export type FieldFault = (typeof fieldFaults)[number];

export const entityFaults = ['absent', 'failing'] as const;
export type EntityFault = (typeof entityFaults)[number];

export interface FaultPlan {
  readonly seed: number;
  readonly calls: readonly { subgraph: number; isEntityFetch: boolean; fault: CallFault }[];
  readonly fields: readonly FieldFault[];
  readonly entities: readonly EntityFault[];
  readonly share: number;
}

export const noFaults: FaultPlan = { seed: 0, calls: [], fields: [], entities: [], share: 0 };

/** Shrinks to no fault at all. */
export const faultPlans: fc.Arbitrary<FaultPlan> = fc.record({
  seed: fc.nat(9999),
  calls: fc.array(
    fc.record({
      subgraph: fc.nat(3),
      isEntityFetch: fc.boolean(),
      fault: fc.constantFrom(...callFaults),
    }),
    { maxLength: 1 },
  ),
  fields: fc.oneof(
    fc.constant<readonly FieldFault[]>([]),
    fc.constant<readonly FieldFault[]>(['error']),
    fc.uniqueArray(fc.constantFrom(...fieldFaults), { minLength: 1, maxLength: 2 }),
  ),
  entities: fc.uniqueArray(fc.constantFrom(...entityFaults), { maxLength: 1 }),
  share: fc.constantFrom(0.05, 0.15, 0.4),
});

export function callFault(plan: FaultPlan, subgraph: number, isEntityFetch: boolean): CallFault | null {
  const found = plan.calls.find((one) => one.subgraph === subgraph && one.isEntityFetch === isEntityFetch);
  return found?.fault ?? null;
}

/** The same in all subgraphs: which of two equal fields is merged last is then of no matter. */
export function fieldFault({ fields, seed, share }: FaultPlan, position: string): FieldFault | null {
  if (fields.length === 0 || !isDrawn(share, `${seed} field ${position}`)) return null;
  return drawn(fields, `${seed} what ${position}`);
}

export function entityFault({ entities, seed, share }: FaultPlan, entity: string): EntityFault | null {
  if (entities.length === 0 || !isDrawn(share, `${seed} entity ${entity}`)) return null;
  return drawn(entities, `${seed} what ${entity}`);
}

/**
 * Where the two executors have to agree about it. An object type need not be told by ours, and the wrong name of one is
 * believed by stock; a list where an object belongs is an object for stock, and null for ours.
 */
export function isMeantFor(fault: FieldFault, type: GraphQLOutputType, isRequired: boolean): boolean {
  const named = getNamedType(type);
  // Of a required object that is none stock makes null and sends that; ours sends nothing.
  if (fault === 'scalar' && isRequired) return false;
  if (fault === 'typename missing' || fault === 'typename unknown') return isAbstractType(named);
  return fault === 'wrong scalar' || fault === 'list' || fault === 'object' ? isLeafType(named) : true;
}

/** Puts in place of `value` what the fault says. */
export function spoiled(value: unknown, fault: FieldFault): unknown {
  switch (fault) {
    case 'error':
      return value;
    case 'null':
      return null;
    case 'wrong scalar':
      return isObject(value) || Array.isArray(value) ? value : typeof value === 'string' ? 12.5 : 'no number';
    case 'scalar':
      return isObject(value) || Array.isArray(value) ? 'no object' : value;
    case 'list':
      return Array.isArray(value) ? value : [value];
    case 'object':
      return isObject(value) ? value : { no: 'object' };
    case 'null item':
      return Array.isArray(value) && value.length > 0 ? [...value.slice(0, -1), null] : value;
    case 'unknown enum value':
      return typeof value === 'string' && /^[A-Z_]+$/.test(value) ? 'UNHEARD_OF' : value;
    case 'typename missing':
      return retyped(value, undefined);
    case 'typename unknown':
      return retyped(value, 'Unheard');
  }
}

/** Its aliases as well. */
function retyped(value: unknown, name: string | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => retyped(item, name));
  if (!isObject(value) || !('__typename' in value)) return value;
  const { __typename } = value;
  const entries = Object.entries(value).filter(([, member]) => member !== __typename || name !== undefined);
  return Object.fromEntries(
    entries.map(([key, member]) => [key, member === __typename ? name : member] as const),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
