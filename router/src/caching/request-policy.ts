// What of one request to a subgraph may be kept, and for how long: read once from its text.
//
//   entities   every root field is `_entities`: each representation is kept for itself
//   whole      root fields only: the answer is kept as one
//   null       nothing, which is what becomes of every text that is not understood

import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  type SelectionSetNode,
} from 'graphql';
import { fragmentsOf } from '../gateway/documents.ts';
import type { CacheHints, Hint, HintedType } from './cache-hints.ts';

export interface Lifetime {
  /** Seconds, more than 0. */
  readonly maxAge: number;
  readonly isPrivate: boolean;
}

export type RequestPolicy =
  | { readonly kind: 'whole'; readonly lifetime: Lifetime }
  | { readonly kind: 'entities'; readonly parts: readonly EntityPart[] };

/** One `_entities` field; several travel in one request under aliases. */
export interface EntityPart {
  /** Its name in the answer. */
  readonly key: string;
  /** The variable of its representations. */
  readonly variable: string;
  /** What is selected, the same for the same text. */
  readonly selection: string;
  /** Null: entities of this type are not kept. */
  lifetimeOf(typename: string): Lifetime | null;
}

export interface PolicySettings {
  /** Seconds for what has no hint, as private; 0: not kept. */
  readonly defaultMaxAge: number;
}

/** `query` is what the planner printed for `subgraph`. Throws for what is no document. */
export function requestPolicy(
  hints: CacheHints,
  subgraph: string,
  query: string,
  settings: PolicySettings,
): RequestPolicy | null {
  const document = parse(query, { noLocation: true });
  const [operation] = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  if (operation?.operation !== 'query') return null;
  const fragments = fragmentsOf(document);
  const reader = createReader(hints, fragments, settings);
  const roots = operation.selectionSet.selections;
  if (!roots.every((one) => one.kind === Kind.FIELD)) return null;
  if (roots.every(({ name }) => name.value === '_entities')) {
    const parts = roots.map((root) => entityPart(root, { subgraph, hints, reader, fragments }));
    const known = parts.filter((part) => part !== null);
    const isKept = known.some((part, at) => isEverKept(part, roots[at] as FieldNode, hints));
    return known.length === parts.length && isKept ? { kind: 'entities', parts: known } : null;
  }
  return wholePolicy(operation, hints, reader);
}

function wholePolicy(
  { selectionSet }: OperationDefinitionNode,
  { queryType }: CacheHints,
  reader: Reader,
): RequestPolicy | null {
  const lifetime = reader.ofSelection(queryType, selectionSet, undefined, new Set());
  return lifetime ? { kind: 'whole', lifetime } : null;
}

/** How long the answer to a client's operation may be kept, as a whole; null: not at all. */
export function lifetimeOf(
  hints: CacheHints,
  document: DocumentNode,
  { selectionSet }: OperationDefinitionNode,
): Lifetime | null {
  const fragments = fragmentsOf(document);
  const reader = createReader(hints, fragments, { defaultMaxAge: 0 });
  return reader.ofSelection(hints.queryType, selectionSet, undefined, new Set());
}

interface PartContext {
  readonly subgraph: string;
  readonly hints: CacheHints;
  readonly reader: Reader;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
}

function entityPart(root: FieldNode, { subgraph, hints, reader, fragments }: PartContext): EntityPart | null {
  const [argument] = root.arguments ?? [];
  if (argument?.value.kind !== Kind.VARIABLE || !root.selectionSet) return null;
  const { selectionSet } = root;
  const known = new Map<string, Lifetime | null>();
  // The fragments that it spreads are part of what is selected.
  const selection = [selectionSet, ...fragments.values()].map(print).join(' ');
  return {
    key: (root.alias ?? root.name).value,
    variable: argument.value.name.value,
    selection,
    lifetimeOf(typename) {
      const found = known.get(typename);
      if (found !== undefined) return found;
      const type = hints.types.get(typename);
      const keys = type?.keysOf.get(subgraph) ?? new Set<string>();
      const read = type ? reader.ofSelection(typename, selectionSet, reader.ofType(type), keys) : null;
      const lifetime = read && type?.hint?.isPrivate ? { ...read, isPrivate: true } : read;
      known.set(typename, lifetime);
      return lifetime;
    },
  };
}

/** Reading what a request asks for costs time: not where none of the types that it names is kept. */
function isEverKept(part: EntityPart, { selectionSet }: FieldNode, hints: CacheHints): boolean {
  return (selectionSet?.selections ?? []).some((selection) => {
    if (selection.kind === Kind.FIELD) return selection.name.value !== '__typename';
    const name = selection.kind === Kind.INLINE_FRAGMENT ? selection.typeCondition?.name.value : undefined;
    if (name === undefined) return true;
    return [name, ...hints.possibleTypes(name)].some((type) => part.lifetimeOf(type) !== null);
  });
}

interface Reader {
  /** Null: not to be kept. `free`: names whose value the request holds already. `parent`: what scalars inherit. */
  ofSelection(
    type: string,
    selection: SelectionSetNode,
    parent: Lifetime | undefined,
    free: ReadonlySet<string>,
  ): Lifetime | null;
  ofType(type: HintedType): Lifetime | undefined;
}

/** Longer than anything a hint may say; the shortest of a selection counts. */
const LONGEST: Lifetime = { maxAge: Number.POSITIVE_INFINITY, isPrivate: false };

function createReader(
  hints: CacheHints,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  { defaultMaxAge }: PolicySettings,
): Reader {
  const without: Lifetime | undefined =
    defaultMaxAge > 0 ? { maxAge: defaultMaxAge, isPrivate: true } : undefined;

  function ofSelection(
    type: string,
    selection: SelectionSetNode,
    parent: Lifetime | undefined,
    free: ReadonlySet<string>,
  ): Lifetime | null {
    let shortest = parent ?? LONGEST;
    for (const one of selection.selections) {
      const found =
        one.kind === Kind.FIELD
          ? ofField(type, one, parent, free)
          : ofFragment(
              type,
              one.kind === Kind.INLINE_FRAGMENT ? one : fragments.get(one.name.value),
              parent,
              free,
            );
      if (!found) return null;
      shortest = shorter(shortest, found);
    }
    return Number.isFinite(shortest.maxAge) && shortest.maxAge > 0 ? shortest : null;
  }

  function ofFragment(
    type: string,
    fragment: { typeCondition?: { name: { value: string } }; selectionSet: SelectionSetNode } | undefined,
    parent: Lifetime | undefined,
    free: ReadonlySet<string>,
  ): Lifetime | null {
    if (!fragment) return null;
    const condition = fragment.typeCondition?.name.value ?? type;
    // Of an entity whose type is known, what is selected of other types is nothing.
    const isOther = condition !== type && !hints.types.get(type)?.isAbstract && !canBe(condition, type);
    if (isOther) return LONGEST;
    return ofSelectionOrNothing(
      canBe(condition, type) ? type : condition,
      fragment.selectionSet,
      parent,
      free,
    );
  }

  const canBe = (abstract: string, type: string) => hints.possibleTypes(abstract).includes(type);

  /** A selection of nothing but free names allows everything. */
  function ofSelectionOrNothing(...args: Parameters<Reader['ofSelection']>): Lifetime | null {
    const [, { selections }, , free] = args;
    const isFree = selections.every(
      (one) => one.kind === Kind.FIELD && (one.name.value === '__typename' || free.has(one.name.value)),
    );
    return isFree ? LONGEST : ofSelection(...args);
  }

  function ofField(
    type: string,
    node: FieldNode,
    parent: Lifetime | undefined,
    free: ReadonlySet<string>,
  ): Lifetime | null {
    const name = node.name.value;
    if (name === '__typename' || free.has(name)) return LONGEST;
    const holders = [type, ...hints.possibleTypes(type)].flatMap(
      (holder) => hints.types.get(holder)?.fields.get(name) ?? [],
    );
    if (holders.length === 0) return null;
    let shortest = LONGEST;
    for (const { type: result, hint } of holders) {
      const value = hints.types.get(result);
      const own = ownLifetime(
        hint,
        value?.isComposite ? (value.hint ?? null) : null,
        parent,
        value?.isComposite ?? false,
      );
      if (!own) return null;
      const inner = node.selectionSet ? ofSelection(result, node.selectionSet, own, new Set()) : own;
      if (!inner) return null;
      shortest = shorter(shortest, inner);
    }
    return shortest;
  }

  function ownLifetime(
    field: Hint | null,
    type: Hint | null,
    parent: Lifetime | undefined,
    isComposite: boolean,
  ): Lifetime | null {
    const inherits = !isComposite || field?.isInherited === true || type?.isInherited === true;
    const maxAge =
      field?.maxAge ?? type?.maxAge ?? (inherits ? parent?.maxAge : undefined) ?? without?.maxAge;
    if (maxAge === undefined || maxAge <= 0) return null;
    const isHinted = (field?.maxAge ?? type?.maxAge ?? (inherits ? parent?.maxAge : undefined)) !== undefined;
    return {
      maxAge,
      isPrivate:
        !isHinted ||
        (field?.isPrivate ?? false) ||
        (type?.isPrivate ?? false) ||
        (parent?.isPrivate ?? false),
    };
  }

  function ofType({ hint }: HintedType): Lifetime | undefined {
    return hint?.maxAge === undefined ? without : { maxAge: hint.maxAge, isPrivate: hint.isPrivate };
  }

  return { ofSelection, ofType };
}

function shorter(a: Lifetime, b: Lifetime): Lifetime {
  return { maxAge: Math.min(a.maxAge, b.maxAge), isPrivate: a.isPrivate || b.isPrivate };
}
