// From a plan to what executes it.
//
//   document ─plan, once─▶ CompiledOperation ─▶ Variant { steps of the plan, writer of the answer } ─▶ execute
//
// A document whose @skip or @include read variables has one variant per combination of their values, made when it is first
// asked for: inside a variant nothing is conditional. What is not covered goes to the stock executor, decided here, and told.

import type { PlanNode, QueryPlan } from '@apollo/query-planner';
import {
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  type ValueNode,
  valueFromASTUntyped,
  visit,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { type ObjectWriter, objectWriter } from './answer-writer.ts';
import type { CompiledOperation, ExecutionResult, OperationRun } from './compiled-operation.ts';
import type { FetchWorld, Step } from './fetches.ts';
import {
  compileIntrospection,
  type Introspection,
  type IntrospectionTexts,
  isIntrospection,
} from './introspection.ts';
import { compileSteps, uncovered } from './plan-steps.ts';
import { addError, createRun, errorsWith, type Fault, type Run } from './run.ts';
import { collectFields, type Selecting } from './selection.ts';
import { setOwn } from './values.ts';

export interface CompileWorld extends FetchWorld {
  /** What clients may ask. */
  readonly apiSchema: GraphQLSchema;
  readonly introspectionTexts: IntrospectionTexts;
}

/** The fallback: executes the same plan by the stock executor. */
export type ExecuteByStock = (run: OperationRun) => Promise<ExecutionResult>;

/** One combination each; a document with more conditions than this pays for compiling when they change. */
const VARIANTS_MAX = 32;

export interface Planned {
  readonly document: DocumentNode;
  readonly operationName: string;
  readonly plan: QueryPlan;
}

export function compileOperation(
  world: CompileWorld,
  { document, operationName, plan }: Planned,
  byStock: ExecuteByStock,
): CompiledOperation {
  const operation = getOperationAST(document, operationName || undefined);
  if (!operation) throw new Error('The document has no such operation.');
  const conditions = conditionsOf(document, operation);
  const variants = new LRUCache<string, Variant>({ max: VARIANTS_MAX });
  const make = (values: ReadonlyMap<string, boolean>) =>
    compileVariant(world, document, operation, plan, values);

  function variantFor(variables: OperationRun['variables']): Variant {
    const values = valuesOf(conditions, variables);
    const key = [...values.values()].join();
    const known = variants.get(key);
    if (known) return known;
    const made = make(values);
    variants.set(key, made);
    return made;
  }

  const reason = uncovered(stepsOf(plan));
  const facts = { kind: operation.operation, plan, rootFields: rootFieldsOf(world, document, operation) };
  if (reason !== null) return { ...facts, isFallback: reason, execute: byStock };
  const only = conditions.size === 0 ? variantFor({}) : null;
  return {
    ...facts,
    isFallback: null,
    async execute(options) {
      let variant = only;
      try {
        variant ??= variantFor(options.variables);
      } catch (error) {
        if (error instanceof GraphQLError) return { dataText: null, errors: [error], deferred: null };
        throw error;
      }
      return executeVariant(variant, options);
    },
  };
}

function rootFieldsOf(
  { apiSchema }: CompileWorld,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): string[] {
  const root = apiSchema.getRootType(operation.operation);
  if (!root) return [];
  const selecting: Selecting = {
    schema: apiSchema,
    fragments: fragmentsOf(document),
    isTrue: () => true,
  };
  // Whatever a condition decides: those that may be asked.
  const fields = collectFields({ ...selecting, isTrue: () => true }, root, [operation.selectionSet]);
  return [...new Set([...fields.values()].map((nodes) => (nodes[0] as FieldNode).name.value))];
}

function fragmentsOf(document: DocumentNode): Selecting['fragments'] {
  return new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition]] : [],
    ),
  );
}

/** A boolean variable that decides what is selected, and its default. */
type Conditions = ReadonlyMap<string, unknown>;

function conditionsOf(document: DocumentNode, operation: OperationDefinitionNode): Conditions {
  const deciding = new Set<string>();
  visit(document, {
    Directive(node) {
      if (node.name.value !== 'skip' && node.name.value !== 'include') return;
      for (const { value } of node.arguments ?? [])
        if (value.kind === Kind.VARIABLE) deciding.add(value.name.value);
    },
  });
  const conditions = new Map<string, unknown>();
  for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
    const name = variable.name.value;
    if (!deciding.has(name)) continue;
    conditions.set(name, defaultValue ? valueFromASTUntyped(defaultValue) : undefined);
  }
  return conditions;
}

function valuesOf(conditions: Conditions, variables: OperationRun['variables']): Map<string, boolean> {
  const values = new Map<string, boolean>();
  for (const [name, defaultValue] of conditions) {
    const given = Object.hasOwn(variables, name) ? variables[name] : undefined;
    const value = given === undefined ? defaultValue : given;
    // A nullable variable with a default may stand where a boolean must be, and be sent as null all the same.
    if (typeof value !== 'boolean') {
      throw new GraphQLError(`The variable "$${name}" decides what is selected, and must be true or false.`, {
        extensions: { code: 'BAD_USER_INPUT' },
      });
    }
    values.set(name, value);
  }
  return values;
}

/** The operation with every condition decided. */
interface Variant {
  readonly steps: Step | null;
  readonly introspections: readonly Introspection[];
  readonly write: ObjectWriter;
}

function compileVariant(
  world: CompileWorld,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  plan: QueryPlan,
  values: ReadonlyMap<string, boolean>,
): Variant {
  const { apiSchema, introspectionTexts } = world;
  const root = apiSchema.getRootType(operation.operation);
  if (!root) throw new Error(`The schema has no ${operation.operation} type.`);
  const isTrue = (variable: string) => values.get(variable) ?? false;
  const selecting: Selecting = {
    schema: apiSchema,
    fragments: fragmentsOf(document),
    isTrue: (value: ValueNode) =>
      value.kind === Kind.VARIABLE ? isTrue(value.name.value) : value.kind === Kind.BOOLEAN && value.value,
  };
  const primary = plan.node?.kind === 'Subscription' ? plan.node.primary : null;
  const steps = compileSteps({ world, primary, isTrue }, stepsOf(plan));
  const fields = collectFields(selecting, root, [operation.selectionSet]);
  return {
    steps,
    introspections: [...fields]
      .filter(([, nodes]) => isIntrospection(nodes))
      .map(([key, nodes]) =>
        compileIntrospection(apiSchema, document, operation, key, nodes, introspectionTexts),
      ),
    write: objectWriter(selecting, root, [operation.selectionSet]),
  };
}

/** A subscription's plan runs as a whole for each event, which answers its first fetch. */
function stepsOf({ node }: QueryPlan): PlanNode | undefined {
  if (node?.kind !== 'Subscription') return node;
  return node.rest ? { kind: 'Sequence', nodes: [node.primary, node.rest] } : node.primary;
}

async function executeVariant(variant: Variant, options: OperationRun): Promise<ExecutionResult> {
  const run = createRun(options);
  const waiting = variant.steps?.(run);
  if (waiting) await waiting;
  for (const introspection of variant.introspections) introspect(run, introspection);
  const faults: Fault[] = [];
  const text = writeAnswer(variant.write, run, faults);
  return { dataText: text ?? 'null', errors: errorsWith(run, faults, text === null), deferred: null };
}

function introspect(run: Run, { key, text }: Introspection): void {
  const told = text(run.options.variables);
  setOwn(run.data, key, told.text);
  for (const error of told.errors) addError(run, error);
}

/** An answer with a thousand faults has one cause. */
const FAULTS_MAX = 1_000;

function writeAnswer(write: ObjectWriter, run: Run, faults: Fault[]): string | null {
  const path: (string | number)[] = [];
  return write(
    run.data,
    {
      path,
      fault(message, depth, holder) {
        if (faults.length >= FAULTS_MAX) return;
        const isAccountedFor = run.accountedFor.has(holder);
        faults.push({ message, path: path.slice(0, depth), isAccountedFor });
      },
    },
    0,
  );
}
