// needs       a call to a subgraph, and the viewer and the prepared operation of its exchange
// adds        nothing: what is kept of an earlier answer is not asked for again
// may answer  the whole call, or a part of its entities, from what is kept

import type { AnswerCache } from '../caching/answer-cache.ts';
import type { CallStage } from '../pipeline.ts';

export function createAnswerCacheStage({ cache }: { cache: Pick<AnswerCache, 'answer'> }): CallStage {
  return { name: 'answer-cache', run: (call, next) => cache.answer(call, next) };
}
