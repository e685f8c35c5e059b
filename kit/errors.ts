/**
 * Errors: the closed list of codes, the one error that the domain throws, and the one translation at the edge.
 *
 *   DomainError  ── payloadOf ──▶ userErrors of a mutation          (expected, data)
 *                ── toClientError ─▶ errors[] with extensions.code   (authentication, limits, outages)
 *   anything else ─ toClientError ─▶ logged once; the client reads one fixed sentence
 */
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { DeadlineError } from './deadline.ts';
import type { Log } from './log.ts';
import { isRetryable } from './retryable.ts';

/** Codes at top level (`errors[].extensions.code`). A code is a public promise: add, never rename. */
export const ERROR_CODES = [
  'UNAUTHENTICATED',
  'TOKEN_EXPIRED',
  'SESSION_REVOKED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BAD_USER_INPUT',
  'IDEMPOTENCY_KEY_REUSED',
  'RATE_LIMITED',
  'COST_LIMIT_EXCEEDED',
  'OPERATION_TOO_LARGE',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_REQUIRED',
  'SUBGRAPH_UNAVAILABLE',
  'TIMEOUT',
  'INTERNAL_SERVER_ERROR',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_REQUEST',
  'OPERATION_RESOLUTION_FAILURE',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Codes of a mutation's `userErrors`; the enum UserErrorCode of the schema is the same list. */
export const USER_ERROR_CODES = [
  'NOT_FOUND',
  'FORBIDDEN',
  'CONFLICT',
  'BAD_USER_INPUT',
  'QUOTA_EXCEEDED',
  'INVALID_CREDENTIALS',
  'ACCOUNT_LOCKED',
] as const;
export type UserErrorCode = (typeof USER_ERROR_CODES)[number];

export interface ErrorDetails {
  /** Path of the input field that is wrong: `tags`, `filter.dueAt`. */
  field?: string | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  /** CONFLICT only: the current entity, with its `__typename`, and what the winner changed. */
  current?: object | undefined;
  changedFields?: readonly string[] | undefined;
  /** Fields of the mutation's payload beside its errors: what helps to try again. */
  payload?: object | undefined;
}

/** An expected refusal. `message` is shown to the client as it is: a safe sentence without internals. */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode | UserErrorCode;
  readonly details: ErrorDetails;
  constructor(code: ErrorCode | UserErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

export function isUserErrorCode(code: string): code is UserErrorCode {
  return (USER_ERROR_CODES as readonly string[]).includes(code);
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(code);
}

export interface UserErrorPayload {
  __typename: 'MutationError' | 'ConflictError';
  code: UserErrorCode;
  message: string;
  field: string | null;
  retryAfterMs: number | null;
  current?: object | null;
  changedFields?: readonly string[];
}

export type Payload<T extends object> = {
  success: boolean;
  userErrors: UserErrorPayload[];
  clientMutationId: string | null;
} & Partial<T>;

/**
 * The payload of a mutation: what `run` returns with `success: true`, or its DomainError as a user error.
 * Errors that are not for the user (UNAUTHENTICATED, bugs, outages) are rethrown.
 */
export async function payloadOf<T extends object>(
  input: { clientMutationId?: string | null | undefined } | null | undefined,
  run: () => Promise<T>,
): Promise<Payload<T>> {
  const clientMutationId = input?.clientMutationId ?? null;
  try {
    return { ...(await run()), success: true, userErrors: [], clientMutationId };
  } catch (error) {
    if (!(error instanceof DomainError) || !isUserErrorCode(error.code)) throw error;
    const refusal = { success: false, userErrors: [userErrorOf(error, error.code)], clientMutationId };
    const failed = { ...error.details.payload, ...refusal };
    // The entity fields of T are absent from a failed payload; GraphQL answers null for them.
    return failed as unknown as Payload<T>;
  }
}

function userErrorOf(error: DomainError, code: UserErrorCode): UserErrorPayload {
  const { field = null, retryAfterMs = null, current, changedFields } = error.details;
  const common = { code, message: error.message, field, retryAfterMs };
  if (code !== 'CONFLICT' || changedFields === undefined) return { __typename: 'MutationError', ...common };
  return { __typename: 'ConflictError', ...common, current: current ?? null, changedFields };
}

const INTERNAL_MESSAGE = 'Something went wrong on our side. Please quote the request id if you report it.';
const UNAVAILABLE_MESSAGE = 'A part of the service is unavailable for a moment. Please try again.';
const TIMEOUT_MESSAGE = 'The request took too long. Please try again.';

/**
 * The one translation at the edge of a process: what a client may know about `error`. Unknown errors are
 * logged here, once each, with their stack and the request id.
 */
export function toClientError(
  error: unknown,
  { requestId, log }: { requestId: string | null; log: Log },
): GraphQLFormattedError {
  const located = error instanceof GraphQLError ? error : null;
  const { message, ...extensions } = describe(error, requestId, log);
  return {
    message,
    ...(located?.locations ? { locations: located.locations } : {}),
    ...(located?.path ? { path: located.path } : {}),
    extensions: { ...extensions, ...(requestId ? { requestId } : {}) },
  };
}

interface Told {
  message: string;
  code: ErrorCode;
  retryable?: boolean;
  retryAfterMs?: number;
}

function describe(error: unknown, requestId: string | null, log: Log): Told {
  const original = originalOf(error);
  // A code for userErrors only (CONFLICT, …) that arrives here is a mutation without payloadOf: a bug.
  if (original instanceof DomainError && isErrorCode(original.code)) {
    return { message: original.message, code: original.code, ...retryOf(original.details) };
  }
  if (error instanceof GraphQLError) {
    const { code } = error.extensions;
    if (isErrorCode(code) && code !== 'INTERNAL_SERVER_ERROR') {
      return { message: error.message, code, ...retryOf(error.extensions) };
    }
  }
  const outage = outageOf(original);
  logOnce(original, requestId, log, outage ? 'warn' : 'error');
  if (outage === 'timeout') return { message: TIMEOUT_MESSAGE, code: 'TIMEOUT', retryable: true };
  if (outage) return { message: UNAVAILABLE_MESSAGE, code: 'SUBGRAPH_UNAVAILABLE', retryable: true };
  return { message: INTERNAL_MESSAGE, code: 'INTERNAL_SERVER_ERROR' };
}

function retryOf(from: { retryable?: unknown; retryAfterMs?: unknown }) {
  return {
    ...(typeof from.retryable === 'boolean' ? { retryable: from.retryable } : {}),
    ...(typeof from.retryAfterMs === 'number' ? { retryAfterMs: from.retryAfterMs } : {}),
  };
}

function originalOf(error: unknown): unknown {
  let current = error;
  while (current instanceof GraphQLError && current.originalError) current = current.originalError;
  return current;
}

const logged = new WeakSet<object>();

/** One failing batch rejects many fields with the same error object: it is one bug, and one line. */
function logOnce(error: unknown, requestId: string | null, log: Log, level: 'warn' | 'error'): void {
  if (typeof error === 'object' && error !== null) {
    if (logged.has(error)) return;
    logged.add(error);
  }
  log[level](
    { err: error, requestId },
    level === 'warn' ? 'a dependency is unavailable' : 'unexpected error',
  );
}

/** statement_timeout and lock timeouts end a statement with this SQL state. */
const QUERY_CANCELED = '57014';
/** Prisma wraps the adapter's error, which wraps the driver's; nothing wraps deeper. */
const CAUSE_DEPTH_MAX = 5;

/**
 * "Try again", or a bug (null)? 22P02 is a bug: a malformed id never reaches SQL, so that a policy can only mean
 * that a query ran without its tenant.
 */
function outageOf(error: unknown): 'unavailable' | 'timeout' | null {
  if (isRetryable(error)) return 'unavailable';
  let current = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && typeof current === 'object' && current !== null; depth++) {
    if (current instanceof DeadlineError) return 'timeout';
    const { code, originalCode, cause, meta } = current as Record<string, unknown>;
    if (code === QUERY_CANCELED || originalCode === QUERY_CANCELED) return 'timeout';
    current = cause ?? (meta as { driverAdapterError?: unknown } | undefined)?.driverAdapterError;
  }
  return null;
}
