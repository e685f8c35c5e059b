import { describe, expect, it } from 'vitest';
import {
  ConfigError,
  describeVariables,
  int,
  keyRing,
  parseKeyRing,
  readConfig,
  sharedVariables,
  subgraphVariables,
} from './config.ts';

const variables = { ...sharedVariables, ...subgraphVariables('TASK', 4003) };

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig('task', variables, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('readConfig', () => {
  it('starts in development without a single variable', () => {
    const config = readConfig('task', variables, {});
    expect(config.TASK_PORT).toBe(4003);
    expect(config.TASK_ALLOW_UNSIGNED).toBe(false);
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('takes an empty variable for an absent one', () => {
    expect(readConfig('task', variables, { TASK_PORT: '' }).TASK_PORT).toBe(4003);
  });

  it('reports every problem in one message', () => {
    const problems = problemsOf({ TASK_PORT: 'many', LOG_LEVEL: 'loud', TASK_DATABASE_POOL_SIZE: '0' });
    expect(problems).toHaveLength(3);
    expect(problems.join('\n')).toContain('TASK_PORT: expected a whole number from 0 to 65535, got "many"');
  });

  it('never shows the value of a secret', () => {
    const problems = problemsOf({
      TASK_CONTEXT_KEY: 'k1:hunter2',
      TASK_DATABASE_URL: 'mysql://u:hunter2@h/d',
    });
    expect(problems).toHaveLength(2);
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  it('has no default for a secret or an address in production', () => {
    const names = problemsOf({ TASKFLOW_MODE: 'production' }).map((problem) => problem.split(':')[0]);
    expect(names).toEqual([
      'REDIS_URL',
      'TASK_DATABASE_URL',
      'TASK_SYSTEM_DATABASE_URL',
      'TASK_CONTEXT_KEY',
      'TASK_CURSOR_KEY',
    ]);
  });

  it('refuses a development secret and a development switch in production', () => {
    const { TASK_CONTEXT_KEY } = readConfig('task', variables, {});
    const problems = problemsOf({
      TASKFLOW_MODE: 'production',
      REDIS_URL: 'redis://redis:6379',
      TASK_DATABASE_URL: 'postgresql://a:b@db/t',
      TASK_SYSTEM_DATABASE_URL: 'postgresql://a:b@db/t',
      TASK_CURSOR_KEY: `k:${'x'.repeat(32)}`,
      TASK_CONTEXT_KEY,
      TASK_ALLOW_UNSIGNED: 'true',
    });
    expect(problems).toEqual([
      'TASK_CONTEXT_KEY: the development default is refused in production',
      'TASK_ALLOW_UNSIGNED: is a development switch and refused in production',
    ]);
  });
});

describe('describeVariables', () => {
  it('tells name, meaning, default and secrecy of each variable', () => {
    const described = describeVariables({
      N: int(3).describe('A number.'),
      K: keyRing('d:x').describe('A key.'),
    });
    expect(described).toEqual([
      { name: 'N', description: 'A number.', default: '3', secret: false, requiredInProduction: false },
      { name: 'K', description: 'A key.', default: 'd:x', secret: true, requiredInProduction: true },
    ]);
  });

  it('leaves no variable of the subgraphs without a description', () => {
    expect(describeVariables(variables).filter((variable) => variable.description === '')).toEqual([]);
  });
});

describe('parseKeyRing', () => {
  const long = 'x'.repeat(32);

  it('reads two keys, the first of which signs', () => {
    expect(parseKeyRing(`new:${long},old:${long}`).map((key) => key.id)).toEqual(['new', 'old']);
  });

  it.each([['nocolon'], ['k:short'], [`k:${long},k:${long}`], [`:${long}`], ['']])('refuses %j', (text) => {
    expect(() => parseKeyRing(text)).toThrow(/expected/);
  });
});
