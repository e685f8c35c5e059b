/**
 * One running subscription: a source of events, mapped to results.
 *
 *   next():   pull one event ─▶ fresh context (loaders) ─▶ execute ─▶ { data, errors?, extensions: position and cursor }
 *   return(): ends at once, also while an event is awaited or being executed; the source is told
 *
 * Not an async generator: the `return()` of one waits for the pending `next()`, which on a quiet stream never
 * comes, and the source would leak. A failing resolver is an error inside its result and the stream goes on; a
 * failing source rejects `next()` with a client-safe error, which ends this operation and no other.
 */
import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionResult,
  execute,
  type GraphQLError,
  type GraphQLSchema,
} from 'graphql';

export interface StreamArgs {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operationName: string | null;
  readonly variableValues: Readonly<Record<string, unknown>> | null;
  /** A new context: for the start, and for each event. */
  newContext(): object;
  /** What a client may know about an error. */
  mask(error: unknown): GraphQLError;
}

type Frame = IteratorResult<ExecutionResult, undefined>;

const DONE: Frame = { done: true, value: undefined };

/** Starts the source. Rejects with a client-safe error when the subscribe resolver refuses. */
export async function openStream(args: StreamArgs): Promise<AsyncIterableIterator<ExecutionResult>> {
  const { schema, document, operationName, variableValues } = args;
  let source: AsyncIterable<unknown> | ExecutionResult;
  try {
    source = await createSourceEventStream({
      schema,
      document,
      operationName,
      variableValues,
      contextValue: args.newContext(),
    });
  } catch (error) {
    throw args.mask(error);
  }
  if (Symbol.asyncIterator in source) return createStream(args, source[Symbol.asyncIterator]());
  throw args.mask(source.errors?.[0] ?? new Error('the subscription did not start'));
}

function createStream(
  args: StreamArgs,
  source: AsyncIterator<unknown>,
): AsyncIterableIterator<ExecutionResult> {
  // Not a race against one long-lived promise: each race would stay attached to it for the life of the stream.
  const waiting = new Set<PromiseWithResolvers<Frame>>();
  let isEnded = false;

  function end(): void {
    if (isEnded) return;
    isEnded = true;
    for (const frame of waiting) frame.resolve(DONE);
    // Not awaited: a source that is slow to let go must not hold up the operation that left.
    void Promise.resolve(source.return?.()).catch(() => {});
  }

  async function pull(frame: PromiseWithResolvers<Frame>): Promise<void> {
    try {
      const event = await source.next();
      if (event.done) return end();
      frame.resolve({ done: false, value: await resultOf(args, event.value) });
    } catch (error) {
      if (!isEnded) frame.reject(args.mask(error));
      end();
    } finally {
      waiting.delete(frame);
    }
  }

  return {
    next() {
      if (isEnded) return Promise.resolve(DONE);
      const frame = Promise.withResolvers<Frame>();
      waiting.add(frame);
      void pull(frame);
      return frame.promise;
    },
    return: async () => {
      end();
      return DONE;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function resultOf(args: StreamArgs, event: unknown): Promise<ExecutionResult> {
  const { schema, document, operationName, variableValues } = args;
  const { errors, ...result } = await execute({
    schema,
    document,
    operationName,
    variableValues,
    rootValue: event,
    contextValue: args.newContext(),
  });
  const { position, cursor } = (event ?? {}) as { position?: unknown; cursor?: unknown };
  return {
    ...result,
    ...(errors ? { errors: errors.map((error) => args.mask(error)) } : {}),
    ...(typeof position === 'number' ? { extensions: { ...result.extensions, position, cursor } } : {}),
  };
}
