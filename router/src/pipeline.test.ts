import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLog } from '@taskflow/kit/log';
import { describe, expect, it } from 'vitest';
import { readRouterConfig } from './config.ts';
import { createBreakers } from './gateway/breakers.ts';
import { createFlights } from './gateway/flights.ts';
import { answerStages, callStages, type PipelineDeps, requestStages } from './pipeline.ts';
import { createEpochs } from './scope.ts';

const log = createLog({ process: 'test', level: 'silent' });
const deps: PipelineDeps = {
  config: readRouterConfig({}),
  supergraph: {
    current() {
      throw new Error('not asked in this test');
    },
  },
  tokens: { verify: async () => null },
  log,
};
const { config } = deps;
const flights = createFlights({ epochs: createEpochs(), isSigned: true });
const breakers = createBreakers({ limits: { ...config.breaker, callsMax: 1 }, log });
const lists = [requestStages(deps), callStages({ config, flights, breakers }), answerStages(deps)];
const names = lists.flat().map((stage) => stage.name);

describe('the pipeline', () => {
  it('lists each stage of the folder once, and no other', () => {
    const files = readdirSync(join(import.meta.dirname, 'stages')).filter(
      (file) => !file.endsWith('.test.ts'),
    );
    expect([...names].sort()).toEqual(files.map((file) => file.replace(/\.ts$/, '')).sort());
  });

  it('reads in the order in which a request flows', () => {
    expect(names).toEqual([
      'request-id',
      'security-headers',
      'access-log',
      'cors-csrf',
      'cookies',
      'body-limits',
      'authenticate',
      'admit',
      'trusted-documents',
      'persisted-queries',
      'operation-limits',
      'parse-validate',
      'access-directives',
      'cost-charge',
      'count-calls',
      'explain',
      'execute',
      'explain-calls',
      'answer-cache',
      'call-deadline',
      'share-in-flight',
      'circuit-breaker',
      'retry',
      'sign-context',
      'cost-settle',
      'mask-errors',
      'set-cookies',
      'cache-headers',
    ]);
  });

  it('is drawn in the README with the same words in the same order', () => {
    const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
    const drawing = /```text\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const drawn = drawing.match(/[a-z]+(-[a-z]+)*/g)?.filter((word) => names.includes(word));
    expect(drawn).toEqual(names);
  });

  it('says at the head of every stage what it needs, adds and may answer', () => {
    for (const name of names) {
      const head = readFileSync(join(import.meta.dirname, 'stages', `${name}.ts`), 'utf8')
        .split('\n')
        .slice(0, 3);
      expect(head.map((line) => /^\/\/ (needs|adds|may answer) /.exec(line)?.[1])).toEqual([
        'needs',
        'adds',
        'may answer',
      ]);
    }
  });
});
