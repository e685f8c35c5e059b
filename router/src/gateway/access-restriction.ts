// An operation as one caller may ask it.
//
//   document ──needs (once)──▶ fields that need something ──grants of the caller──▶ refused fields
//      └─▶ the document without them: planned, executed, and in its answer null where a refused field stood,
//          carried up through non-null fields as the specification says, one error for each refused field
//
// Nothing that a refused field alone would need is fetched. A selection that becomes empty keeps a __typename, so that an
// object which is there stays apart from one that is not. Refusing is by document, not by variables: a field under
// @include(if: $x) is left out whatever $x is, and told only when it would have been there.

import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  GraphQLNonNull,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLString,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { collectFields, collectSubfields } from 'graphql/execution/collectFields.js';
import { LRUCache } from 'lru-cache';
import type { CompiledOperation, ExecutionResult } from '../execution/compiled-operation.ts';
import { type AccessRules, type AnyOf, allOf, type Requirement } from './access-directives.ts';
import { fragmentsOf } from './documents.ts';

/** What a caller may. */
export interface Grants {
  readonly isAuthenticated: boolean;
  readonly scopes: ReadonlySet<string>;
  readonly policies: ReadonlySet<string>;
}

export interface RefusedField {
  readonly coordinate: string;
  readonly code: 'UNAUTHENTICATED' | 'FORBIDDEN';
}

/** One operation of a document, seen through the file's directives. */
export interface OperationAccess {
  /** Policies that some field of it names. */
  readonly policies: readonly string[];
  /** The fields that these grants do not open, by the node that asks for them; empty: the operation may run as it is. */
  refused(grants: Grants): ReadonlyMap<FieldNode, RefusedField>;
  /** The document without them. The same object for the same fields, so that it is planned once. */
  without(refused: ReadonlyMap<FieldNode, RefusedField>): RestrictedDocument;
}

export interface RestrictedDocument {
  /** Which of the fields that need something are gone. */
  readonly key: string;
  readonly document: DocumentNode;
  /** Under this name an object of an abstract type tells its type. */
  readonly typenameAs: string;
}

/** Kinds of callers that one operation is planned for apart; more of them are planned again now and then. */
const RESTRICTIONS_MAX = 32;

/** Walks the operation and the fragments it uses, once. Null when nothing in it needs anything. */
export function accessOf(
  schema: GraphQLSchema,
  rules: AccessRules,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): OperationAccess | null {
  const used = usedBy(document, operation);
  const needs = needsIn(schema, rules, used);
  if (needs.size === 0) return null;
  const restricted = new LRUCache<string, RestrictedDocument>({ max: RESTRICTIONS_MAX });
  return {
    policies: [...new Set([...needs.values()].flatMap(({ needed }) => needed.policies.flat(2)))],
    refused(grants) {
      const refused = new Map<FieldNode, RefusedField>();
      for (const [node, { coordinate, needed }] of needs) {
        if (isMet(needed, grants)) continue;
        refused.set(node, { coordinate, code: grants.isAuthenticated ? 'FORBIDDEN' : 'UNAUTHENTICATED' });
      }
      return refused;
    },
    without(refused) {
      const key = [...needs.keys()].map((node) => (refused.has(node) ? '-' : '+')).join('');
      const known = restricted.get(key);
      if (known) return known;
      const made = { key, ...withoutFields(schema, used, refused) };
      restricted.set(key, made);
      return made;
    },
  };
}

function usedBy(document: DocumentNode, operation: OperationDefinitionNode): DocumentNode {
  const fragments = fragmentsOf(document);
  const used = new Set<OperationDefinitionNode | FragmentDefinitionNode>([operation]);
  for (const definition of used) {
    visit(definition, {
      FragmentSpread({ name }) {
        const fragment = fragments.get(name.value);
        if (fragment) used.add(fragment);
      },
    });
  }
  return { kind: Kind.DOCUMENT, definitions: [...used] };
}

interface Need {
  readonly coordinate: string;
  readonly needed: Requirement;
}

function needsIn(schema: GraphQLSchema, rules: AccessRules, document: DocumentNode): Map<FieldNode, Need> {
  const needs = new Map<FieldNode, Need>();
  const types = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(types, {
      Field(node) {
        const parent = types.getParentType();
        const field = node.name.value;
        if (!parent || field === '__schema' || field === '__type') return;
        const result = getNamedType(types.getType());
        const holders =
          isAbstractType(parent) && field !== '__typename' ? schema.getPossibleTypes(parent) : [];
        const needed = allOf(
          [parent, ...holders]
            .flatMap(({ name }) => [rules.ofType(name), rules.ofField(name, field)])
            .concat(result ? rules.ofType(result.name) : null),
        );
        if (needed) needs.set(node, { coordinate: `${parent.name}.${field}`, needed });
      },
    }),
  );
  return needs;
}

function isMet({ isAuthenticated, scopes, policies }: Requirement, grants: Grants): boolean {
  if (isAuthenticated && !grants.isAuthenticated) return false;
  const holds = (held: ReadonlySet<string>) => (anyOf: AnyOf) =>
    anyOf.some((all) => all.every((name) => held.has(name)));
  return scopes.every(holds(grants.scopes)) && policies.every(holds(grants.policies));
}

function withoutFields(
  schema: GraphQLSchema,
  document: DocumentNode,
  refused: ReadonlyMap<FieldNode, RefusedField>,
): Omit<RestrictedDocument, 'key'> {
  const typenameAs = freeName(document);
  const typename: FieldNode = {
    kind: Kind.FIELD,
    name: { kind: Kind.NAME, value: '__typename' },
    alias: { kind: Kind.NAME, value: typenameAs },
  };
  const types = new TypeInfo(schema);
  const restricted: DocumentNode = visit(
    document,
    visitWithTypeInfo(types, {
      // The answer is completed as a whole, so it comes as a whole.
      Directive: ({ name }) => (name.value === 'defer' || name.value === 'stream' ? null : undefined),
      Field: {
        enter: (node) => (refused.has(node) ? null : undefined),
        leave(node): FieldNode | undefined {
          if (!node.selectionSet || !isAbstractType(getNamedType(types.getType()))) return undefined;
          const { selectionSet } = node;
          const selections = [typename, ...selectionSet.selections];
          return { ...node, selectionSet: { ...selectionSet, selections } };
        },
      },
      SelectionSet: {
        leave: (node): SelectionSetNode | undefined =>
          node.selections.length === 0 ? { ...node, selections: [typename] } : undefined,
      },
    }),
  );
  return { document: restricted, typenameAs };
}

/** A name that nothing in the document has: two meanings of one response name would be no valid document. */
function freeName(document: DocumentNode): string {
  const names = new Set<string>();
  visit(document, { Name: ({ value }) => void names.add(value) });
  let name = 'typename_';
  while (names.has(name)) name += '_';
  return name;
}

/** What the client asked, and what of it is refused. */
export interface Restriction {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  /** Coerced. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly refused: ReadonlyMap<FieldNode, RefusedField>;
  readonly typenameAs: string;
}

/** The operation as the client wrote it, run as `inner`, which was compiled of the document without the refused fields. */
export function restrictedOperation(restriction: Restriction, inner: CompiledOperation): CompiledOperation {
  const { kind, plan, planFor, rootFields, isFallback } = inner;
  return {
    ...{ kind, plan, planFor, rootFields, isFallback },
    async execute(run) {
      // In one answer: what comes in parts would have to be brought into shape part by part.
      const result = await inner.execute({ ...run, takesParts: false });
      if (result.dataText === null) return result;
      return completed(result, createCompletion(restriction));
    },
  };
}

function completed(result: ExecutionResult, complete: ReturnType<typeof createCompletion>): ExecutionResult {
  const { data, errors } = complete(JSON.parse(result.dataText ?? 'null'));
  return { ...result, dataText: JSON.stringify(data), errors: [...result.errors, ...errors] };
}

const TYPENAME = new GraphQLNonNull(GraphQLString);
type Path = readonly (string | number)[];
/** A null on its way up to the next field that may be null. */
const RISING = Symbol('null in a non-null position');
type Value = unknown | typeof RISING;

/** Brings an answer into the shape of the whole document: refused fields are null, and told once each. */
function createCompletion(
  restriction: Restriction,
): (data: unknown) => { data: unknown; errors: GraphQLError[] } {
  const { schema, document, operation, refused, typenameAs, variables } = restriction;
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const one of document.definitions) {
    if (one.kind === Kind.FRAGMENT_DEFINITION) fragments[one.name.value] = one;
  }
  const told = new Map<FieldNode, GraphQLError>();

  type Fields = ReadonlyMap<string, readonly FieldNode[]>;

  function object(
    type: GraphQLObjectType,
    fields: Fields,
    given: Record<string, unknown>,
    path: Path,
  ): Value {
    const completed: Record<string, unknown> = {};
    for (const [name, nodes] of fields) {
      const field = nodes[0]?.name.value ?? '';
      const definition = type.getFields()[field];
      if (nodes.every((node) => refused.has(node))) tell(nodes, [...path, name]);
      // What begins with __ has no null to carry: it comes as it is, unless its type is refused.
      const outer = definition?.type ?? (field === '__typename' ? TYPENAME : null);
      const value = outer ? complete(outer, nodes, given[name] ?? null, [...path, name]) : given[name];
      if (value === RISING) return RISING;
      completed[name] = value;
    }
    return completed;
  }

  function tell(nodes: readonly FieldNode[], path: Path): void {
    const [node] = nodes;
    const field = node && refused.get(node);
    if (!field || told.has(node)) return;
    const { coordinate, code } = field;
    const message =
      code === 'UNAUTHENTICATED'
        ? `${coordinate} needs an authenticated caller.`
        : `${coordinate} needs rights that you do not have.`;
    told.set(node, new GraphQLError(message, { nodes: node, path, extensions: { code } }));
  }

  function complete(type: GraphQLOutputType, nodes: readonly FieldNode[], given: unknown, path: Path): Value {
    if (isNonNullType(type)) {
      const value = complete(type.ofType, nodes, given, path);
      return value === null ? RISING : value;
    }
    if (given === null || given === undefined) return null;
    if (isListType(type)) {
      if (!Array.isArray(given)) return null;
      const items = given.map((item, at) => complete(type.ofType, nodes, item, [...path, at]));
      return items.includes(RISING) ? null : items;
    }
    if (!isCompositeType(type)) return given;
    const held = given as Record<string, unknown>;
    const actual = isObjectType(type) ? type : schema.getType(String(held[typenameAs]));
    if (!isObjectType(actual)) return null;
    const value = object(actual, collectSubfields(schema, fragments, variables, actual, nodes), held, path);
    return value === RISING ? null : value;
  }

  return (data) => {
    const root = schema.getRootType(operation.operation);
    if (!root || data === null || typeof data !== 'object') return { data: null, errors: [] };
    const fields = collectFields(schema, fragments, variables, root, operation.selectionSet);
    const value = object(root, fields, data as Record<string, unknown>, []);
    return { data: value === RISING ? null : value, errors: [...told.values()] };
  };
}
