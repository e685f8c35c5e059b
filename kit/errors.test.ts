import { GraphQLError } from 'graphql';
import { describe, expect, it } from 'vitest';
import { DomainError, ERROR_CODES, payloadOf, toClientError } from './errors.ts';
import { createLog } from './log.ts';

function capture() {
  const lines: string[] = [];
  return { lines, log: createLog({ process: 'test', destination: { write: (line) => lines.push(line) } }) };
}

function told(error: unknown) {
  const { log, lines } = capture();
  return { ...toClientError(error, { requestId: 'r1', log }), lines };
}

describe('the closed list of codes', () => {
  it('is a public promise', () => {
    expect(ERROR_CODES).toMatchInlineSnapshot(`
      [
        "UNAUTHENTICATED",
        "TOKEN_EXPIRED",
        "SESSION_REVOKED",
        "FORBIDDEN",
        "NOT_FOUND",
        "BAD_USER_INPUT",
        "IDEMPOTENCY_KEY_REUSED",
        "RATE_LIMITED",
        "COST_LIMIT_EXCEEDED",
        "OPERATION_TOO_LARGE",
        "PERSISTED_QUERY_NOT_FOUND",
        "PERSISTED_QUERY_REQUIRED",
        "SUBGRAPH_UNAVAILABLE",
        "TIMEOUT",
        "INTERNAL_SERVER_ERROR",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "BAD_REQUEST",
        "OPERATION_RESOLUTION_FAILURE",
      ]
    `);
  });
});

describe('payloadOf', () => {
  it('answers the result of a mutation with success', async () => {
    const payload = await payloadOf({ clientMutationId: 'c1' }, async () => ({ task: { id: 't' } }));
    expect(payload).toEqual({ success: true, userErrors: [], clientMutationId: 'c1', task: { id: 't' } });
  });

  it('turns an expected failure into data', async () => {
    const payload = await payloadOf(null, async () => {
      throw new DomainError('NOT_FOUND', 'No such task.', { field: 'id' });
    });
    expect(payload).toEqual({
      success: false,
      clientMutationId: null,
      userErrors: [
        {
          __typename: 'MutationError',
          code: 'NOT_FOUND',
          message: 'No such task.',
          field: 'id',
          retryAfterMs: null,
        },
      ],
    });
  });

  it('carries the current entity of a conflict', async () => {
    const current = { __typename: 'Task', id: 't' };
    const payload = await payloadOf(null, async (): Promise<object> => {
      throw new DomainError('CONFLICT', 'Changed meanwhile.', { current, changedFields: ['title'] });
    });
    expect(payload.userErrors[0]).toMatchObject({
      __typename: 'ConflictError',
      current,
      changedFields: ['title'],
    });
  });

  it.each([
    new DomainError('IDEMPOTENCY_KEY_REUSED', 'Another body.'),
    new DomainError('SUBGRAPH_UNAVAILABLE', 'Later.'),
    new Error('bug'),
  ])('passes on what is not for the user: %s', async (error) => {
    await expect(payloadOf(null, () => Promise.reject(error))).rejects.toBe(error);
  });
});

describe('toClientError', () => {
  it('tells a domain error with its code, retry hints and request id', () => {
    const error = new DomainError('RATE_LIMITED', 'Slow down.', { retryable: true, retryAfterMs: 50 });
    const { lines, ...client } = told(new GraphQLError(error.message, { originalError: error, path: ['a'] }));
    expect(client).toEqual({
      message: 'Slow down.',
      path: ['a'],
      extensions: { code: 'RATE_LIMITED', retryable: true, retryAfterMs: 50, requestId: 'r1' },
    });
    expect(lines).toEqual([]);
  });

  it('keeps the codes of GraphQL itself', () => {
    const error = new GraphQLError('Syntax Error', { extensions: { code: 'GRAPHQL_PARSE_FAILED' } });
    expect(told(error).extensions?.code).toBe('GRAPHQL_PARSE_FAILED');
  });

  it.each([
    ['a bug', new Error('secret of 10.0.0.1')],
    ['a policy that met no tenant', Object.assign(new Error('invalid uuid: secret'), { code: '22P02' })],
    ['a thrown string', 'secret'],
    ['a code that is for payloads only', new DomainError('ACCOUNT_LOCKED', 'secret')],
    ['an unknown code', new GraphQLError('secret', { extensions: { code: 'WHATEVER', sql: 'secret' } })],
  ])('tells nothing about %s and logs it', (_name, error) => {
    const { lines, ...client } = told(error);
    expect(client.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR', requestId: 'r1' });
    expect(JSON.stringify(client)).not.toContain('secret');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'error', requestId: 'r1' });
  });

  it.each([
    ['SUBGRAPH_UNAVAILABLE', Object.assign(new Error('connect 10.0.0.1'), { code: 'ECONNREFUSED' })],
    ['SUBGRAPH_UNAVAILABLE', Object.assign(new Error('terminating'), { code: '57P01' })],
    ['SUBGRAPH_UNAVAILABLE', new Error('wrapped', { cause: { kind: 'ConnectionClosed' } })],
    [
      'SUBGRAPH_UNAVAILABLE',
      Object.assign(new Error('raw'), {
        meta: { driverAdapterError: { cause: { kind: 'DatabaseNotReachable' } } },
      }),
    ],
    ['SUBGRAPH_UNAVAILABLE', new Error('Connection terminated unexpectedly')],
    // The next statement on that connection, within a transaction.
    ['SUBGRAPH_UNAVAILABLE', new Error('Client has encountered a connection error and is not queryable')],
    ['SUBGRAPH_UNAVAILABLE', new Error('Client was closed and is not queryable')],
    ['TIMEOUT', Object.assign(new Error('canceling statement'), { code: '57014' })],
  ])('calls a lost or slow database %s, retryable, without detail', (code, error) => {
    const { message, extensions } = told(error);
    expect(extensions).toEqual({ code, retryable: true, requestId: 'r1' });
    expect(message).not.toContain(error.message);
  });

  it('logs one failing batch once, however many fields it rejects', () => {
    const { log, lines } = capture();
    const error = new Error('one batch');
    for (const path of [['a'], ['b'], ['c']]) {
      toClientError(new GraphQLError('x', { originalError: error, path }), { requestId: 'r1', log });
    }
    expect(lines).toHaveLength(1);
  });
});
