// needs       the finished answer
// adds        cache-control: answers belong to one viewer, and are stored by nobody
// may answer  nothing

import type { AnswerStage } from '../pipeline.ts';

export function createCacheHeaders(): AnswerStage {
  return {
    name: 'cache-headers',
    run: (_exchange, answer) =>
      answer.body ? { ...answer, headers: { ...answer.headers, 'cache-control': 'no-store' } } : answer,
  };
}
