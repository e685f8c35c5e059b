// Which parts of an operation are deferred, and the operation as the planner is to see it.
//
// Fragments are written out where they are spread, so that each @defer stands for one place in the answer; it gets a label of ours,
// by which its node is found in the plan again. A `DeferredBlock` knows where its objects are: response keys from the root,
// and the types that an object on the way must have for the block to mean it.

import {
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  type GraphQLCompositeType,
  getNamedType,
  isCompositeType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { isIncluded, type Selecting } from './selection.ts';

export interface DeferredBlock {
  /** Our label. */
  readonly id: string;
  /** The client's. */
  readonly label: string | undefined;
  /** The block that this one stands in; null: the initial answer. */
  readonly parent: string | null;
  readonly steps: readonly BlockStep[];
  /** What the objects of the block must be. */
  readonly conditions: readonly string[];
  /** The type of its objects as far as the text tells it. */
  readonly type: GraphQLCompositeType;
  readonly selectionSet: SelectionSetNode;
}

/** From an object of one of these types on to what stands under a key. */
export interface BlockStep {
  readonly conditions: readonly string[];
  readonly key: string;
}

export interface Deferral {
  /** For the planner: conditions decided, root introspection dropped. */
  readonly document: DocumentNode | null;
  /** For the writer: the same with root introspection. */
  readonly operation: OperationDefinitionNode;
  readonly blocks: readonly DeferredBlock[];
}

interface Place {
  readonly type: GraphQLCompositeType;
  readonly steps: readonly BlockStep[];
  readonly conditions: readonly string[];
  readonly block: string | null;
}

const DEFER = 'defer';

/** Null: nothing is deferred, and the operation runs as any other. */
export function deferralOf(operation: OperationDefinitionNode, selecting: Selecting): Deferral | null {
  const root = selecting.schema.getRootType(operation.operation);
  if (!root || operation.operation === 'subscription') return null;
  const blocks: DeferredBlock[] = [];

  function expand(selectionSet: SelectionSetNode, place: Place): SelectionSetNode {
    const selections = selectionSet.selections.flatMap((selection) => {
      if (!isIncluded(selecting, selection.directives)) return [];
      return selection.kind === Kind.FIELD
        ? [expandField(selection, place)]
        : expandFragment(selection, place);
    });
    return { kind: Kind.SELECTION_SET, selections: selections.length > 0 ? selections : [TYPENAME] };
  }

  function expandField(field: FieldNode, place: Place): FieldNode {
    const directives = (field.directives ?? []).filter(({ name }) => !DECIDED.has(name.value));
    const definition = 'getFields' in place.type ? place.type.getFields()[field.name.value] : undefined;
    const type = definition && getNamedType(definition.type);
    if (!field.selectionSet || !isCompositeType(type)) return { ...field, directives };
    const key = field.alias?.value ?? field.name.value;
    const steps = [...place.steps, { conditions: place.conditions, key }];
    const selectionSet = expand(field.selectionSet, { type, steps, conditions: [], block: place.block });
    return { ...field, directives, selectionSet };
  }

  function expandFragment(selection: Exclude<SelectionNode, FieldNode>, place: Place): SelectionNode[] {
    const fragment =
      selection.kind === Kind.INLINE_FRAGMENT ? selection : selecting.fragments.get(selection.name.value);
    if (!fragment) return [];
    const { typeCondition } = fragment;
    const named = typeCondition && selecting.schema.getType(typeCondition.name.value);
    // A type that is known is not given up for an interface of it.
    const type = isCompositeType(named) && !isObjectType(place.type) ? named : place.type;
    const conditions = typeCondition ? [...place.conditions, typeCondition.name.value] : place.conditions;
    const defer = deferOf(selection.directives);
    const isDeferred = defer !== null && !(root === place.type && operation.operation === 'mutation');
    const id = isDeferred ? `d${blocks.length}` : place.block;
    if (isDeferred) {
      // Its place in the list is taken before those inside it take theirs.
      const at = blocks.push({ id: id as string } as DeferredBlock) - 1;
      const selectionSet = expand(fragment.selectionSet, { ...place, type, conditions, block: id });
      blocks[at] = {
        ...{ id: id as string, label: labelOf(defer), parent: place.block },
        ...{ steps: place.steps, conditions, type, selectionSet },
      };
      return [inline(typeCondition, [deferDirective(id as string)], selectionSet)];
    }
    const selectionSet = expand(fragment.selectionSet, { ...place, type, conditions });
    return [inline(typeCondition, [], selectionSet)];
  }

  function deferOf(directives: readonly DirectiveNode[] = []): DirectiveNode | null {
    const defer = directives.find(({ name }) => name.value === DEFER);
    const condition = defer?.arguments?.find(({ name }) => name.value === 'if')?.value;
    return defer && (!condition || selecting.isTrue(condition)) ? defer : null;
  }

  const place: Place = { type: root, steps: [], conditions: [], block: null };
  const expanded = { ...operation, selectionSet: expand(operation.selectionSet, place) };
  if (blocks.length === 0) return null;
  const planned = withoutIntrospection(expanded.selectionSet);
  const definition = planned && { ...expanded, selectionSet: planned };
  return {
    document: definition ? { kind: Kind.DOCUMENT, definitions: [definition] } : null,
    operation: expanded,
    blocks,
  };
}

const DECIDED: ReadonlySet<string> = new Set(['skip', 'include', DEFER]);

const TYPENAME: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };

function labelOf(defer: DirectiveNode | null): string | undefined {
  const label = defer?.arguments?.find(({ name }) => name.value === 'label')?.value;
  return label?.kind === Kind.STRING ? label.value : undefined;
}

function inline(
  typeCondition: { kind: Kind.NAMED_TYPE; name: { kind: Kind.NAME; value: string } } | undefined,
  directives: readonly DirectiveNode[],
  selectionSet: SelectionSetNode,
): SelectionNode {
  return {
    kind: Kind.INLINE_FRAGMENT,
    ...(typeCondition ? { typeCondition } : {}),
    directives,
    selectionSet,
  };
}

function deferDirective(label: string): DirectiveNode {
  return {
    kind: Kind.DIRECTIVE,
    name: { kind: Kind.NAME, value: DEFER },
    arguments: [
      {
        kind: Kind.ARGUMENT,
        name: { kind: Kind.NAME, value: 'label' },
        value: { kind: Kind.STRING, value: label },
      },
    ],
  };
}

/** Null: nothing else is there. */
function withoutIntrospection(selectionSet: SelectionSetNode): SelectionSetNode | null {
  const selections = selectionSet.selections.flatMap((selection): SelectionNode[] => {
    if (selection.kind === Kind.FIELD)
      return selection.name.value.match(/^__(schema|type)$/) ? [] : [selection];
    if (selection.kind !== Kind.INLINE_FRAGMENT) return [selection];
    const left = withoutIntrospection(selection.selectionSet);
    return left ? [{ ...selection, selectionSet: left }] : [];
  });
  return selections.length > 0 ? { ...selectionSet, selections } : null;
}
