// What is done for a supergraph before it is swapped in, so that the swap costs nobody time: its new subgraphs are asked
// whether they are there, and the documents in use are validated and planned for it.

import { setImmediate as breathe } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import type { Documents, KnownDocument } from './documents.ts';
import type { LoadedSupergraph } from './loaded-supergraph.ts';
import type { Validation } from './validation.ts';

/** With a hundred planned documents of 1–5 ms each a swap waits half a second, and requests go on in between. */
const DOCUMENTS_MAX = 100;
/** The same as for a probe of health. */
const ANSWER_MS = 2_000;

/** Plans the documents that are asked most. Their operations run on the old supergraph meanwhile. */
export async function planHottest(
  documents: Documents,
  next: LoadedSupergraph,
  validation: Validation,
): Promise<() => void> {
  const ready: KnownDocument[] = [];
  for (const known of documents.hottest(DOCUMENTS_MAX)) {
    await breathe();
    try {
      if (validation(next.schema, known.document).length > 0) continue;
      for (const name of known.asked) next.compile(known.document, name);
      ready.push(known);
    } catch {
      // Its next request tells what is wrong with it.
    }
  }
  return () => {
    for (const known of ready) known.validFor = next.id;
  };
}

/** Whether something that speaks HTTP and GraphQL is there; who may ask it what is not the question. */
export function createAnswerCheck(dispatcher: Dispatcher): (url: string) => Promise<boolean> {
  return async (url) => {
    try {
      const { origin, pathname, search } = new URL(url);
      const response = await dispatcher.request({
        origin,
        path: pathname + search,
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: '{"query":"{ __typename }"}',
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const text = await response.body.text();
      const answer = JSON.parse(text);
      return response.statusCode < 500 && ('data' in answer || 'errors' in answer);
    } catch {
      return false;
    }
  };
}
