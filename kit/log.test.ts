import { expect, it } from 'vitest';
import { createLog } from './log.ts';

function capture() {
  const lines: string[] = [];
  const log = createLog({ process: 'task', destination: { write: (line) => lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') };
}

it('writes JSON with the process, the time and the level by name', () => {
  const { log, last } = capture();
  log.info({ requestId: 'r1' }, 'request');
  expect(last()).toMatchObject({ process: 'task', level: 'info', requestId: 'r1', msg: 'request' });
  expect(Date.parse(last().time)).not.toBeNaN();
});

it('never writes a credential, at any depth that is logged', () => {
  const canary = 'canary-4f1d';
  const { log, lines } = capture();
  const names = [
    'authorization',
    'cookie',
    'set-cookie',
    'password',
    'token',
    'accessToken',
    'refreshToken',
    'secret',
  ];
  for (const name of names) {
    log.info({ [name]: canary });
    log.info({ headers: { [name]: canary } });
    log.info({ request: { headers: { [name]: canary } } });
    log.child({ [name]: canary }).info('child');
  }
  expect(lines).toHaveLength(names.length * 4);
  expect(lines.join('')).not.toContain(canary);
});

it('writes of an error its type, code, stack and cause, and nothing that a driver hung on it', () => {
  const { log, lines, last } = capture();
  const cause = Object.assign(new Error('duplicate key'), {
    code: '23505',
    detail: 'Key (email)=(ada@x.org)',
  });
  log.error({ err: new Error('could not save', { cause }) });
  expect(last().err).toMatchObject({ message: 'could not save', cause: { code: '23505' } });
  expect(lines.join('')).not.toContain('ada@x.org');
});
