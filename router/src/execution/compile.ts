// From a document to what executes it.
//
//   document ─▶ CompiledOperation ─▶ Variant { plan, its steps, writer of the answer } ─▶ execute
//                                       one per combination of the booleans that @skip and @include read
//
// A variant is planned and compiled when it is first asked for, once, and nothing in it is conditional (see `specialise`).
// What is not covered goes to the stock executor: decided here, counted, and told.

import type { QueryPlan } from '@apollo/query-planner';
import {
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { fragmentsOf } from '../gateway/documents.ts';
import type { CompiledOperation, ExecutionResult, OperationRun } from './compiled-operation.ts';
import { conditionsOf, valuesOf } from './conditions.ts';
import { compileDeferring, type DeferringVariant, executeDeferring } from './deferring.ts';
import { collectFields, type Selecting } from './selection.ts';
import { specialise } from './specialise.ts';
import { compileVariant, executeVariant, type Variant, type VariantWorld } from './variant.ts';

export interface CompileWorld extends VariantWorld {
  plan(document: DocumentNode, operationName: string): QueryPlan;
  /** The fallback, told why. */
  executeByStock(reason: string, plan: QueryPlan, asked: Asked, run: OperationRun): Promise<ExecutionResult>;
}

export interface Asked {
  readonly document: DocumentNode;
  readonly operationName: string;
}

/**
 * One combination each; a document that is asked in more of them pays for planning when they change, as if each were a
 * document of its own. There is no number of conditions from which on the planner gets them: it is wrong with one.
 */
const VARIANTS_MAX = 32;

export function compileOperation(world: CompileWorld, client: Asked): CompiledOperation {
  const { document, operationName } = client;
  const alias = aliasOfReserved(document);
  if (alias === null) return compileFree(world, client);
  const free = compileFree(world, { document: renamed(document, alias), operationName });
  const withAlias = (variables: OperationRun['variables']) =>
    Object.hasOwn(variables, RESERVED) ? { ...variables, [alias]: variables[RESERVED] } : variables;
  return {
    ...{ kind: free.kind, rootFields: free.rootFields, plan: free.plan, isFallback: free.isFallback },
    planFor: (variables) => free.planFor(withAlias(variables)),
    execute: (run) => free.execute({ ...run, variables: withAlias(run.variables) }),
  };
}

/** The planner calls the variable of an entity fetch by this name, whatever the client has called one of its own. */
const RESERVED = 'representations';

/** A name for the client's variable; null: it has none that is in the way. */
function aliasOfReserved(document: DocumentNode): string | null {
  const names = new Set<string>();
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    for (const { variable } of definition.variableDefinitions ?? []) names.add(variable.name.value);
  }
  if (!names.has(RESERVED)) return null;
  let alias = `${RESERVED}_`;
  while (names.has(alias)) alias += '_';
  return alias;
}

function renamed(document: DocumentNode, alias: string): DocumentNode {
  return visit(document, {
    Variable: (node) =>
      node.name.value === RESERVED ? { ...node, name: { ...node.name, value: alias } } : undefined,
  });
}

function compileFree(world: CompileWorld, asked: Asked): CompiledOperation {
  const { document, operationName } = asked;
  const found = getOperationAST(document, operationName || undefined);
  if (!found) throw new Error('The document has no such operation.');
  const operation = found;
  const fragments = fragmentsOf(document);
  const conditions = conditionsOf(document, operation);
  const hasDefer = usesDirective(document, 'defer');
  const variants = new LRUCache<string, Variant>({ max: VARIANTS_MAX });
  const deferring = new LRUCache<string, DeferringVariant | false>({ max: VARIANTS_MAX });
  let generic: QueryPlan | null = null;

  const selectingBy = (values: ReadonlyMap<string, boolean>): Selecting => ({
    schema: world.apiSchema,
    fragments,
    isTrue: (value) =>
      value.kind === Kind.VARIABLE
        ? (values.get(value.name.value) ?? false)
        : value.kind === Kind.BOOLEAN && value.value,
  });

  function genericPlan(): QueryPlan {
    generic ??= world.plan(withoutDefer(document), operationName);
    return generic;
  }

  function planOf(selecting: Selecting): QueryPlan {
    const decided = specialise(document, operation, selecting);
    return decided ? world.plan(decided, operationName) : { kind: 'QueryPlan' };
  }

  function variantFor(variables: OperationRun['variables']): Variant {
    const values = valuesOf(conditions, variables);
    const key = [...values.values()].join();
    const known = variants.get(key);
    if (known) return known;
    const selecting = selectingBy(values);
    const isTrue = (name: string) => values.get(name) ?? false;
    const plan = planOf(selecting);
    const made = compileVariant(world, {
      document,
      operation,
      plan,
      selecting,
      isTrue,
    });
    variants.set(key, made);
    return made;
  }

  /** Null: the operation defers nothing for these variables, or nothing that is worth it. */
  function deferringFor(variables: OperationRun['variables']): DeferringVariant | null {
    if (!hasDefer) return null;
    const values = valuesOf(conditions, variables);
    const key = [...values.values()].join();
    const known = deferring.get(key);
    if (known !== undefined) return known || null;
    const made = compileDeferring(world, {
      document,
      operationName,
      operation,
      selecting: selectingBy(values),
    });
    deferring.set(key, made ?? false);
    return made;
  }

  const only = conditions.size === 0 ? variantFor({}) : null;
  return {
    kind: operation.operation,
    rootFields: rootFieldsOf(world, operation, selectingBy(new Map())),
    get plan() {
      return only?.plan ?? genericPlan();
    },
    get isFallback() {
      if (only) return only.uncovered;
      return [...variants.values()].find(({ uncovered }) => uncovered !== null)?.uncovered ?? null;
    },
    planFor: (variables) => (only ?? variantFor(variables)).plan,
    async execute(run) {
      const parts = run.takesParts ? deferringFor(run.variables) : null;
      if (parts) return executeDeferring(parts, run);
      const variant = only ?? variantOrRefusal(variantFor, run.variables);
      if (variant instanceof GraphQLError) return { dataText: null, errors: [variant], deferred: null };
      if (variant.uncovered === null) return executeVariant(variant, run);
      const { uncovered, plan } = variant;
      return { ...(await world.executeByStock(uncovered, plan, asked, run)), fallback: uncovered };
    },
  };
}

function withoutDefer(document: DocumentNode): DocumentNode {
  return visit(document, { Directive: ({ name }) => (name.value === 'defer' ? null : undefined) });
}

function variantOrRefusal(
  variantFor: (variables: OperationRun['variables']) => Variant,
  variables: OperationRun['variables'],
): Variant | GraphQLError {
  try {
    return variantFor(variables);
  } catch (error) {
    if (error instanceof GraphQLError) return error;
    throw error;
  }
}

function usesDirective(document: DocumentNode, name: string): boolean {
  let isUsed = false;
  visit(document, {
    Directive(node) {
      if (node.name.value === name) isUsed = true;
    },
  });
  return isUsed;
}

/** Those that may be asked, whatever the conditions decide. */
function rootFieldsOf(
  { apiSchema }: CompileWorld,
  { operation, selectionSet }: OperationDefinitionNode,
  selecting: Selecting,
): string[] {
  const root = apiSchema.getRootType(operation);
  if (!root) return [];
  const fields = collectFields({ ...selecting, isAlwaysIncluded: true }, root, [selectionSet]);
  return [...new Set([...fields.values()].map((nodes) => (nodes[0] as FieldNode).name.value))];
}
