/**
 * A subscription without a socket, for a router in the same process: the same message, the same signed context, the same checks;
 * results as objects that belong to the listener.
 *
 *   begin ─▶ refused · next … next ─▶ completed          or, at any time, lost: the service is stopping, come again
 */
import type { ExecutionResult, GraphQLError, GraphQLFormattedError } from 'graphql';

export interface LocalSubscribePayload {
  readonly query: string;
  readonly variables?: Record<string, unknown> | null;
  readonly operationName?: string | null;
  /** As over a socket: `context`, and the position `after`. */
  readonly extensions?: Record<string, unknown> | null;
}

export interface LocalResult {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLFormattedError[];
  readonly extensions?: Record<string, unknown>;
}

/** After anything but `next` nothing more is told; before `subscribe` has returned nothing is. */
export interface LocalListener {
  next(result: LocalResult): void;
  refused(errors: readonly GraphQLFormattedError[]): void;
  completed(): void;
  lost(): void;
}

export interface LocalStreams {
  /** `begin`: the running stream, or why there is none. Returns the way to leave. */
  run(
    begin: () => Promise<readonly GraphQLError[] | AsyncIterableIterator<ExecutionResult>>,
    listener: LocalListener,
  ): () => void;
  /** Tells all that they are lost. */
  close(): void;
  count(): number;
}

export function createLocalStreams(): LocalStreams {
  const open = new Set<() => void>();

  return {
    run(begin, listener) {
      let stream: AsyncIterableIterator<ExecutionResult> | null = null;
      let isLeft = false;

      function leave(): void {
        isLeft = true;
        open.delete(lose);
        void stream?.return?.();
      }

      function lose(): void {
        if (isLeft) return;
        leave();
        listener.lost();
      }

      function end(tell: () => void): void {
        if (isLeft) return;
        leave();
        tell();
      }

      async function pull(): Promise<void> {
        const begun = await begin();
        if (!(Symbol.asyncIterator in begun)) return end(() => listener.refused(toJson(begun)));
        stream = begun;
        if (isLeft) void stream.return?.();
        for (;;) {
          const { done, value } = await stream.next();
          if (isLeft) return;
          if (done) return end(() => listener.completed());
          listener.next(resultOf(value));
        }
      }

      open.add(lose);
      pull().catch((error: GraphQLError) => end(() => listener.refused(toJson([error]))));
      return leave;
    },
    close() {
      for (const lose of [...open]) lose();
    },
    count: () => open.size,
  };
}

/** Streams reject with what a client may know, which has a form of its own as JSON. */
const toJson = (errors: readonly GraphQLError[]) => errors.map((error) => error.toJSON());

function resultOf({ data, errors, extensions }: ExecutionResult): LocalResult {
  return {
    ...(data === undefined ? {} : { data }),
    ...(errors ? { errors: toJson(errors) } : {}),
    ...(extensions ? { extensions } : {}),
  };
}
