// needs       an answer, its errors raw
// adds        errors a client may read: message, path, locations, and extensions { code, requestId, retryable, retryAfterMs }
// may answer  INTERNAL_SERVER_ERROR in place of every error without a public code

import { isErrorCode } from '@taskflow/kit/errors';
import type { Log } from '@taskflow/kit/log';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { AnswerBody, Exchange } from '../exchange.ts';
import type { DeferredPart } from '../execution/compiled-operation.ts';
import type { AnswerStage } from '../pipeline.ts';

export type RawError = GraphQLError | GraphQLFormattedError;

export const INTERNAL_MESSAGE =
  'Something went wrong on our side. Please quote the request id if you report it.';

/** The subgraph speaks to the router there, of contexts and signatures. */
const SIGN_IN_MESSAGE = 'Please sign in: this needs an access token.';

const BUG = 'INTERNAL_SERVER_ERROR';

/**
 * From a subgraph these say that router and subgraph misunderstood each other (two versions of a schema in a
 * deployment): not the client's fault, and their messages name what the client never wrote.
 */
const ROUTERS_OWN_CODES: readonly unknown[] = [
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_REQUEST',
  'OPERATION_RESOLUTION_FAILURE',
];

export function createMaskErrors({ log }: { log: Log }): AnswerStage {
  return {
    name: 'mask-errors',
    run(exchange, answer) {
      // Apollo Server's text carries what `mask` made of each error, one by one.
      if (!answer.body || answer.written !== undefined) return answer;
      const raw = answer.body.errors ?? [];
      const { data, dataText } = answer.body;
      const body: AnswerBody = {
        ...(raw.length > 0 ? { errors: raw.map((error) => mask(error, exchange, log)) } : {}),
        ...(data === undefined ? {} : { data }),
        ...(dataText === undefined ? {} : { dataText }),
        // Those of the executor are for this stage; a client gets what stages have put into the exchange.
        ...(hasAny(exchange.extensions) ? { extensions: exchange.extensions } : {}),
      };
      const { parts } = answer;
      return { ...answer, body, ...(parts ? { parts: maskedParts(parts, exchange, log) } : {}) };
    },
  };
}

async function* maskedParts(
  parts: AsyncIterable<DeferredPart>,
  exchange: Exchange,
  log: Log,
): AsyncGenerator<DeferredPart> {
  for await (const { incremental, hasNext } of parts) {
    const items = incremental.map(({ errors, ...item }) =>
      errors ? { ...item, errors: errors.map((error) => mask(error, exchange, log)) } : item,
    );
    yield { incremental: items, hasNext };
  }
}

export function hasAny(extensions: Exchange['extensions']): boolean {
  for (const _name in extensions) return true;
  return false;
}

/** One error as a client may read it; what is masked is logged. */
export function mask(error: RawError, { requestId }: Exchange, log: Log): GraphQLFormattedError {
  const { message, path, extensions = {} } = error;
  const isForeign = extensions.serviceName !== undefined;
  const { code } = extensions;
  const isPublic = isErrorCode(code) && code !== BUG && !(isForeign && ROUTERS_OWN_CODES.includes(code));
  if (!isPublic) {
    // A subgraph of ours has logged its own bug already, with the stack that is missing here.
    const level = isForeign && code === BUG ? 'debug' : 'error';
    log[level]({ err: bugOf(error), requestId, subgraph: extensions.serviceName }, 'masked error');
    return {
      message: INTERNAL_MESSAGE,
      ...(path ? { path } : {}),
      extensions: { code: BUG, requestId },
    };
  }
  const { retryable, retryAfterMs } = extensions;
  // Locations of a subgraph's error are those of a text the client never saw.
  const locations = isForeign ? undefined : error.locations;
  return {
    message: isForeign && code === 'UNAUTHENTICATED' ? SIGN_IN_MESSAGE : message,
    ...(locations ? { locations } : {}),
    ...(path ? { path } : {}),
    extensions: {
      code,
      requestId,
      ...(typeof retryable === 'boolean' ? { retryable } : {}),
      ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
    },
  };
}

function bugOf(error: RawError): unknown {
  if (!(error instanceof GraphQLError)) return new Error(error.message);
  return error.originalError instanceof Error ? error.originalError : error;
}
