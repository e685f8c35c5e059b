// One plan, compiled: its steps, the writer of its answer, and one run of both.

import type { PlanNode, QueryPlan } from '@apollo/query-planner';
import type { DocumentNode, GraphQLSchema, OperationDefinitionNode } from 'graphql';
import { type ObjectWriter, objectWriter, type WritingContext } from './answer-writer.ts';
import type { ExecutionResult, OperationRun } from './compiled-operation.ts';
import type { FetchWorld, Step } from './fetches.ts';
import {
  compileIntrospection,
  type Introspection,
  type IntrospectionTexts,
  isIntrospection,
} from './introspection.ts';
import { compileSteps, uncovered } from './plan-steps.ts';
import { addError, createRun, errorsWith, type Fault, type ResponsePath, type Run } from './run.ts';
import { type CollectedFields, collectFields, type Selecting } from './selection.ts';
import { type JsonObject, setOwn } from './values.ts';

export interface VariantWorld extends FetchWorld {
  /** What clients may ask. */
  readonly apiSchema: GraphQLSchema;
  readonly introspectionTexts: IntrospectionTexts;
}

export interface Variant {
  readonly plan: QueryPlan;
  /** Why the stock executor has to run it; null: it has not. */
  readonly uncovered: string | null;
  readonly steps: Step | null;
  readonly introspections: readonly Introspection[];
  readonly write: ObjectWriter;
}

export interface VariantParts {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly plan: QueryPlan;
  readonly selecting: Selecting;
  /** The value of a boolean variable that the plan still depends on. */
  readonly isTrue: (variable: string) => boolean;
}

export function compileVariant(world: VariantWorld, parts: VariantParts): Variant {
  const { document, operation, plan, selecting, isTrue } = parts;
  const { apiSchema } = world;
  const root = apiSchema.getRootType(operation.operation);
  if (!root) throw new Error(`The schema has no ${operation.operation} type.`);
  const node = stepsOf(plan);
  const primary = plan.node?.kind === 'Subscription' ? plan.node.primary : null;
  const compiled =
    uncovered(node) ?? stepsOrReason(() => compileSteps({ world, primary, isTrue }, node), world);
  const fields = collectFields(selecting, root, [operation.selectionSet]);
  return {
    plan,
    uncovered: typeof compiled === 'string' ? compiled : null,
    steps: typeof compiled === 'string' ? null : compiled,
    introspections: introspectionsOf(world, document, operation, fields),
    write: objectWriter(selecting, root, [operation.selectionSet]),
  };
}

/** A plan that surprises us is a bug of ours, and no reason to refuse what the stock executor can do. */
function stepsOrReason(compile: () => Step | null, { log }: VariantWorld): Step | null | string {
  try {
    return compile();
  } catch (error) {
    log.error({ err: error }, 'a plan could not be compiled: the stock executor runs it');
    return 'plan not understood';
  }
}

export function introspectionsOf(
  { apiSchema, introspectionTexts }: VariantWorld,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  rootFields: CollectedFields,
): Introspection[] {
  return [...rootFields]
    .filter(([, nodes]) => isIntrospection(nodes))
    .map(([key, nodes]) =>
      compileIntrospection(apiSchema, document, operation, key, nodes, introspectionTexts),
    );
}

/** A subscription's plan runs as a whole for each event, which answers its first fetch. */
function stepsOf({ node }: QueryPlan): PlanNode | undefined {
  if (node?.kind !== 'Subscription') return node;
  return node.rest ? { kind: 'Sequence', nodes: [node.primary, node.rest] } : node.primary;
}

export async function executeVariant(variant: Variant, options: OperationRun): Promise<ExecutionResult> {
  const run = createRun(options);
  const waiting = variant.steps?.(run);
  if (waiting) await waiting;
  for (const introspection of variant.introspections) introspect(run, introspection);
  const faults: Fault[] = [];
  const text = writeObject(variant.write, run, run.data, [], faults);
  const errors = errorsWith(run, faults, text === null);
  return { dataText: text ?? 'null', errors, merged: run.data, deferred: null };
}

export function introspect(run: Run, { key, text }: Introspection): void {
  const told = text(run.options.variables);
  setOwn(run.data, key, told.text);
  for (const error of told.errors) addError(run, error);
}

/** An answer with a thousand faults has one cause. */
const FAULTS_MAX = 1_000;

/** Writes an object that stands at `place` in the answer. */
export function writeObject(
  write: ObjectWriter,
  run: Run,
  object: JsonObject,
  place: ResponsePath,
  faults: Fault[],
): string | null {
  const path = [...place];
  const context: WritingContext = {
    path,
    faults,
    shared: run.shared.size > 0 ? run.shared : null,
    texts: new Map(),
    fault(message: string, depth: number, holder: object) {
      if (faults.length >= FAULTS_MAX) return;
      const isAccountedFor = run.accountedFor.has(holder);
      faults.push({ message, path: path.slice(0, depth), isAccountedFor });
    },
  };
  return write(object, context, place.length);
}
