// An operation with @defer, answered in parts.
//
//   initial answer ──▶ blocks that stand in it run side by side ──▶ a part each, when its fetches are done
//                                                       └──▶ blocks inside it, the same way
//
// All share one tree; a block writes its own selection of it, once per object. Errors of its fetches go with its part. What
// a null has taken from an earlier part has no place for later ones: they are not sent.
//
// Absence: a block waits for the whole part that it stands in, though its fetches may need less of it.

import type { PlanNode } from '@apollo/query-planner';
import {
  type DocumentNode,
  type GraphQLSchema,
  isCompositeType,
  isObjectType,
  type OperationDefinitionNode,
} from 'graphql';
import { type ObjectWriter, objectWriter } from './answer-writer.ts';
import type { CompileWorld } from './compile.ts';
import type { DeferredPart, ExecutionResult, IncrementalData, OperationRun } from './compiled-operation.ts';
import { type DeferredBlock, deferralOf } from './deferral.ts';
import type { Step } from './fetches.ts';
import type { Introspection } from './introspection.ts';
import { compileSteps, uncovered } from './plan-steps.ts';
import { createRun, errorsWith, type Fault, isAlong, type ResponsePath, type Run } from './run.ts';
import { collectFields, isOfType, type Selecting } from './selection.ts';
import { isObject, type JsonObject, ownValue } from './values.ts';
import { introspect, introspectionsOf, writeObject } from './variant.ts';

export interface DeferringVariant {
  readonly schema: GraphQLSchema;
  readonly steps: Step | null;
  readonly introspections: readonly Introspection[];
  readonly write: ObjectWriter;
  readonly blocks: readonly CompiledBlock[];
}

interface CompiledBlock extends DeferredBlock {
  readonly run: Step | null;
  readonly writerFor: (object: JsonObject) => ObjectWriter | null;
}

/** Null: nothing is deferred, or the plan is not ours to execute. */
export function compileDeferring(
  world: CompileWorld,
  asked: {
    readonly document: DocumentNode;
    readonly operationName: string;
    readonly operation: OperationDefinitionNode;
    readonly selecting: Selecting;
  },
): DeferringVariant | null {
  const deferral = deferralOf(asked.operation, asked.selecting);
  if (!deferral) return null;
  const { operation } = deferral;
  const root = world.apiSchema.getRootType(operation.operation);
  if (!root) return null;
  const plan = deferral.document ? world.plan(deferral.document, asked.operationName) : null;
  const ofBlocks = new Map<string, PlanNode | undefined>();
  const primary = plan?.node?.kind === 'Subscription' ? undefined : withoutDeferred(plan?.node, ofBlocks);
  if ([primary, ...ofBlocks.values()].some((node) => uncovered(node) !== null)) return null;
  const options = { world, primary: null, isTrue: () => true };
  const selecting: Selecting = { ...asked.selecting, isWithoutDeferred: true };
  const whole = collectFields(asked.selecting, root, [operation.selectionSet]);
  return {
    schema: world.apiSchema,
    steps: compileSteps(options, primary),
    introspections: introspectionsOf(world, asked.document, operation, whole),
    write: objectWriter(selecting, root, [operation.selectionSet]),
    blocks: deferral.blocks.map((block) => ({
      ...block,
      run: compileSteps(options, ofBlocks.get(block.id)),
      writerFor: writersOf(selecting, block),
    })),
  };
}

/** The plan without its deferred parts, which are put beside it by the label of their block. */
function withoutDeferred(
  node: PlanNode | undefined,
  ofBlocks: Map<string, PlanNode | undefined>,
): PlanNode | undefined {
  if (node?.kind === 'Defer') {
    for (const { label, node: deferred } of node.deferred)
      if (label !== undefined) ofBlocks.set(label, withoutDeferred(deferred, ofBlocks));
    return withoutDeferred(node.primary.node, ofBlocks);
  }
  if (node?.kind !== 'Sequence' && node?.kind !== 'Parallel') return node;
  const nodes = node.nodes.map((child) => withoutDeferred(child, ofBlocks));
  return { kind: node.kind, nodes: nodes.filter((child) => child !== undefined) };
}

function writersOf(selecting: Selecting, { type, selectionSet }: DeferredBlock): CompiledBlock['writerFor'] {
  const writers = new Map<string, ObjectWriter>();
  return ({ __typename }) => {
    const told = typeof __typename === 'string' ? selecting.schema.getType(__typename) : undefined;
    const actual = !isObjectType(type) && isCompositeType(told) ? told : type;
    const writer = writers.get(actual.name) ?? objectWriter(selecting, actual, [selectionSet]);
    writers.set(actual.name, writer);
    return writer;
  };
}

export async function executeDeferring(
  variant: DeferringVariant,
  options: OperationRun,
): Promise<ExecutionResult> {
  const run = createRun(options);
  const waiting = variant.steps?.(run);
  if (waiting) await waiting;
  for (const introspection of variant.introspections) introspect(run, introspection);
  const faults: Fault[] = [];
  const text = writeObject(variant.write, run, run.data, [], faults);
  const errors = errorsWith(run, faults, text === null);
  if (text === null) return { dataText: 'null', errors, deferred: null };
  const sent = createSent();
  sent.note([], text, faults);
  return { dataText: text, errors, deferred: partsOf(variant, run, sent) };
}

/** Runs the blocks at once, whether somebody waits for the parts or not: their fetches are on their way already. */
function partsOf(variant: DeferringVariant, run: Run, sent: Sent): AsyncIterable<DeferredPart> {
  const ready: DeferredPart[] = [];
  let wake = () => {};
  let isLeft = false;
  let pending = 0;

  function start(parent: string | null): void {
    for (const block of variant.blocks) {
      if (block.parent !== parent || isLeft) continue;
      pending++;
      // What a part throws is a bug; it is told as an error of the part by whoever masks errors.
      void runBlock(block).catch((error) => finish(block, [failedPart(error)]));
    }
  }

  async function runBlock(block: CompiledBlock): Promise<void> {
    const own: Run = { ...run, errors: [] };
    const waiting = block.run?.(own);
    if (waiting) await waiting;
    finish(block, writeBlock(variant.schema, block, own, sent));
  }

  function finish(block: CompiledBlock, incremental: readonly IncrementalData[]): void {
    start(block.id);
    pending--;
    const hasNext = pending > 0;
    if (incremental.length > 0 || !hasNext) ready.push({ incremental, hasNext });
    wake();
  }

  start(null);
  async function* parts(): AsyncGenerator<DeferredPart, void, void> {
    try {
      for (;;) {
        const part = ready.shift();
        if (part) {
          yield part;
          if (!part.hasNext) return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      isLeft = true;
    }
  }
  return parts();
}

function failedPart(error: unknown): IncrementalData {
  return {
    path: [],
    dataText: 'null',
    errors: [error instanceof Error ? { message: error.message } : { message: '' }],
  };
}

function writeBlock(schema: GraphQLSchema, block: CompiledBlock, run: Run, sent: Sent): IncrementalData[] {
  const parts: IncrementalData[] = [];
  let untold = run.errors;
  for (const { object, path } of placesIn(schema, run.data, block)) {
    const write = block.writerFor(object);
    if (!write || !sent.has(path)) continue;
    const own: Run = { ...run, errors: untold.filter((error) => error.path && isAlong(error.path, path)) };
    untold = untold.filter((error) => !own.errors.includes(error));
    const faults: Fault[] = [];
    const text = writeObject(write, own, object, path, faults);
    sent.note(path, text ?? 'null', faults);
    const errors = errorsWith(own, faults, text === null);
    parts.push({
      path,
      label: block.label,
      dataText: text ?? 'null',
      ...(errors.length > 0 ? { errors } : {}),
    });
  }
  const [first, ...others] = parts;
  // Errors without a place of their own go with the first part.
  if (first && untold.length > 0)
    return [{ ...first, errors: [...(first.errors ?? []), ...untold] }, ...others];
  return parts;
}

interface PlacedObject {
  readonly object: JsonObject;
  readonly path: ResponsePath;
}

function placesIn(
  schema: GraphQLSchema,
  root: JsonObject,
  { steps, conditions }: DeferredBlock,
): PlacedObject[] {
  const found: PlacedObject[] = [];
  const path: (string | number)[] = [];
  walk(root, 0);
  return found;

  function walk(value: unknown, at: number): void {
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        path.push(index);
        walk(item, at);
        path.pop();
      }
      return;
    }
    if (!isObject(value)) return;
    const step = steps[at];
    if (!isOfAll(schema, value, step ? step.conditions : conditions)) return;
    if (!step) {
      found.push({ object: value, path: [...path] });
      return;
    }
    path.push(step.key);
    walk(ownValue(value, step.key), at + 1);
    path.pop();
  }
}

function isOfAll(schema: GraphQLSchema, { __typename }: JsonObject, conditions: readonly string[]): boolean {
  if (conditions.length === 0 || typeof __typename !== 'string') return true;
  const type = schema.getType(__typename);
  return isCompositeType(type) && conditions.every((condition) => isOfType(schema, type, condition));
}

/** What clients have been sent, as far as something is missing in it. */
interface Sent {
  note(path: ResponsePath, text: string, faults: readonly Fault[]): void;
  /** Whether an object that is there for us is there for the client, too. */
  has(path: ResponsePath): boolean;
}

function createSent(): Sent {
  const damaged: { path: ResponsePath; data: unknown }[] = [];
  return {
    note(path, text, faults) {
      if (faults.length > 0) damaged.push({ path, data: JSON.parse(text) });
    },
    has: (path) =>
      damaged.every((part) => {
        if (part.path.length > path.length || !isAlong(part.path, path)) return true;
        let value = part.data;
        for (const key of path.slice(part.path.length)) {
          // A key that this part does not have came with another one.
          if (typeof value !== 'object' || value === null) return false;
          if (!Object.hasOwn(value, key)) return true;
          value = (value as Record<string | number, unknown>)[key];
        }
        return value !== null;
      }),
  };
}
