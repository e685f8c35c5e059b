// An answer with `@defer`, part by part, in the bytes that Apollo Server writes for deferSpec=20220824.
//
//   --- · { data, hasNext: true } · --- · { incremental: […], hasNext } · --- · … · -----
//
// Each boundary is written right behind its part: a client hands a part on when it has seen the boundary after it.

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { DEFER_SPEC } from './accept.ts';
import { type AnswerBody, bodyText, partText } from './exchange.ts';
import type { DeferredPart } from './execution/compiled-operation.ts';

/** Resolves when the last part is written or the client has left, which ends `parts`; rejects with what `parts` throws. */
export async function sendParts(
  response: ServerResponse,
  { status, headers, body }: { status: number; headers: Record<string, string | string[]>; body: AnswerBody },
  parts: AsyncIterable<DeferredPart> | undefined,
): Promise<void> {
  const hasNext = parts !== undefined;
  response.writeHead(status, {
    ...headers,
    'content-type': `multipart/mixed; boundary="-"; deferSpec=${DEFER_SPEC}`,
  });
  response.write(`\r\n---\r\n${written(bodyText({ ...body, hasNext }), hasNext)}`);
  for await (const part of parts ?? []) {
    if (response.destroyed) return;
    if (!response.write(written(partText(part), part.hasNext))) await drained(response);
  }
  response.end();
}

function written(json: string, hasNext: boolean): string {
  return `content-type: application/json; charset=utf-8\r\n\r\n${json}\r\n---${hasNext ? '' : '--'}\r\n`;
}

function drained(response: ServerResponse): Promise<unknown> {
  const done = new AbortController();
  const { signal } = done;
  return Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).finally(
    () => done.abort(),
  );
}
