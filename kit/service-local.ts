/**
 * A call without HTTP, for a router in the same process: the same bytes, the same signed context, the same checks; the
 * answer as objects that belong to the caller, because a router merges the data of several subgraphs into it in place.
 *
 * graphql-js makes new objects for whatever is selected. Values of scalars are the resolvers' own: one that is an object
 * could be somebody's cache, and is copied as JSON would copy it.
 */
import { type GraphQLFormattedError, type GraphQLSchema, isScalarType, isSpecifiedScalarType } from 'graphql';
import type { Cancellation } from './cancellation.ts';

export interface LocalCall {
  /** The `taskflow-context` header. */
  readonly context: string | undefined;
  /** The exact bytes that the context was signed over. */
  readonly body: Buffer;
  /** That nobody waits for the answer any more. */
  readonly cancellation?: Cancellation | undefined;
}

export interface LocalReply {
  /** As over HTTP. */
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly answer: {
    data?: Record<string, unknown> | null;
    errors?: readonly GraphQLFormattedError[];
    extensions?: Record<string, unknown>;
  };
}

/** Copies values of scalars that are objects, over HTTP too: there they would become JSON anyway. */
export function detachScalars(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isScalarType(type) || isSpecifiedScalarType(type)) continue;
    const serialize = type.serialize.bind(type);
    type.serialize = (value) => {
      const serialized = serialize(value);
      return typeof serialized === 'object' && serialized !== null
        ? JSON.parse(JSON.stringify(serialized))
        : serialized;
    };
  }
}
