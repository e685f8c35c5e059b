import { describe, expect, it } from 'vitest';
import { isRetryable } from './retryable.ts';

/** As @prisma/client 7 throws what its adapter could not do: without a code of PostgreSQL, which is inside. */
function fromPrisma(cause: object): Error {
  const driverAdapterError = Object.assign(new Error('adapter'), { name: 'DriverAdapterError', cause });
  return Object.assign(new Error('Database error.'), { code: 'P2039', meta: { driverAdapterError } });
}

describe('what will pass', () => {
  it.each([
    ['a refused connection', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })],
    ['a server that starts', Object.assign(new Error('starting'), { code: '57P03' })],
    ['a server that starts, through Prisma', fromPrisma({ kind: 'postgres', originalCode: '57P03' })],
    ['a server that is not there, through Prisma', fromPrisma({ kind: 'DatabaseNotReachable' })],
    [
      'the same, without the client around it',
      Object.assign(new Error('x'), { cause: { kind: 'ConnectionClosed' } }),
    ],
    [
      'a statement on a lost connection',
      new Error('Client has encountered a connection error and is not queryable'),
    ],
    ['a deadlock', fromPrisma({ kind: 'postgres', originalCode: '40P01' })],
    ['a cause that will', new Error('a fact was not applied', { cause: { code: 'ECONNRESET' } })],
    ['whatever says so', Object.assign(new Error('later'), { retryable: true })],
  ])('%s is retryable', (_, error) => {
    expect(isRetryable(error)).toBe(true);
  });

  it.each([
    ['a bug', new TypeError('x is not a function')],
    ['a constraint', fromPrisma({ kind: 'UniqueConstraintViolation', originalCode: '23505' })],
    ['a malformed id', fromPrisma({ kind: 'postgres', originalCode: '22P02' })],
    ['a statement that took too long', fromPrisma({ kind: 'postgres', originalCode: '57014' })],
    ['a thrown string', 'Connection terminated'],
    ['nothing', undefined],
  ])('%s is not', (_, error) => {
    expect(isRetryable(error)).toBe(false);
  });
});
