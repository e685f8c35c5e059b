// A document with its conditions decided, for the planner.
//
// The planner merges fields that a condition keeps apart (measured against @apollo/query-planner 2.14: a conditional @requires beside
// an unconditional one takes the whole answer with it), so nothing conditional reaches it: what is left out is dropped, what
// stays loses its @skip and @include. Root introspection is dropped as well, which graphql-js answers. A selection
// set that is emptied becomes `__typename`.

import {
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { isIncluded, type Selecting } from './selection.ts';

/** Null: nothing is left to plan. */
export function specialise(
  document: DocumentNode,
  operation: OperationDefinitionNode,
  selecting: Selecting,
): DocumentNode | null {
  const fragments = new Map<string, FragmentDefinitionNode>();

  function fragmentOf(name: string): void {
    const known = selecting.fragments.get(name);
    if (!known || fragments.has(name)) return;
    fragments.set(name, known);
    fragments.set(name, { ...known, selectionSet: filled(inside(known.selectionSet, false)) });
  }

  function inside(selectionSet: SelectionSetNode, isRoot: boolean): SelectionNode[] {
    return selectionSet.selections.flatMap((selection) =>
      isIncluded(selecting, selection.directives) ? (without(selection, isRoot) ?? []) : [],
    );
  }

  function without(selection: SelectionNode, isRoot: boolean): SelectionNode | null {
    const directives = unconditional(selection.directives);
    switch (selection.kind) {
      case Kind.FIELD: {
        if (isRoot && isIntrospectionField(selection)) return null;
        if (!selection.selectionSet) return { ...selection, directives };
        return { ...selection, directives, selectionSet: filled(inside(selection.selectionSet, false)) };
      }
      case Kind.INLINE_FRAGMENT: {
        const selections = inside(selection.selectionSet, isRoot);
        return selections.length > 0 ? { ...selection, directives, selectionSet: setOf(selections) } : null;
      }
      case Kind.FRAGMENT_SPREAD: {
        if (isRoot) return without(inline(selection.name.value, selection.directives), true);
        fragmentOf(selection.name.value);
        return { ...selection, directives };
      }
    }
  }

  /** Root fields stand in the operation itself: what is dropped there is dropped for this place alone. */
  function inline(name: string, directives: readonly DirectiveNode[] = []): SelectionNode {
    const fragment = selecting.fragments.get(name);
    if (!fragment) throw new Error(`The document has no fragment "${name}".`);
    const { typeCondition, selectionSet } = fragment;
    return { kind: Kind.INLINE_FRAGMENT, typeCondition, directives, selectionSet };
  }

  const selections = inside(operation.selectionSet, true);
  if (selections.length === 0) return null;
  const decided = { ...operation, selectionSet: setOf(selections) };
  return { ...document, definitions: [decided, ...fragments.values()] };
}

const isIntrospectionField = ({ name }: FieldNode) => name.value === '__schema' || name.value === '__type';

const setOf = (selections: readonly SelectionNode[]): SelectionSetNode => ({
  kind: Kind.SELECTION_SET,
  selections,
});

const TYPENAME: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };

const filled = (selections: readonly SelectionNode[]) =>
  setOf(selections.length > 0 ? selections : [TYPENAME]);

/** @defer is a hint, and not taken here. */
const DECIDED: ReadonlySet<string> = new Set(['skip', 'include', 'defer']);

function unconditional(directives: readonly DirectiveNode[] = []): DirectiveNode[] {
  return directives.filter(({ name }) => !DECIDED.has(name.value));
}
