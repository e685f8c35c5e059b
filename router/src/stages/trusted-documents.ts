// needs       params, perhaps with documentId, or extensions.persistedQuery.sha256Hash
// adds        params.query for an id of the manifest; one log line for a document that is not in it (mode log)
// may answer  PERSISTED_QUERY_REQUIRED 400 to any other document (mode enforce) · PERSISTED_QUERY_NOT_FOUND 400 to a documentId that nobody has

import type { Log } from '@taskflow/kit/log';
import { LRUCache } from 'lru-cache';
import { type Exchange, type OperationParams, paramsOf, Refusal } from '../exchange.ts';
import { hashOf } from '../gateway/persisted-documents.ts';
import type { TrustedDocuments } from '../gateway/trusted-documents.ts';
import type { RequestStage } from '../pipeline.ts';

/** What is done about documents that are not in the manifest. */
export type TrustMode = 'off' | 'log' | 'enforce';

export interface TrustedDocumentsDeps {
  /** Null: there is no manifest. */
  trusted: Pick<TrustedDocuments, 'find' | 'has'> | null;
  mode: TrustMode;
  log: Log;
}

/** A document is told of once; a client that invents new ones pushes out the oldest. */
const TOLD_MAX = 10_000;

export function createTrustedDocumentsStage({ trusted, mode, log }: TrustedDocumentsDeps): RequestStage {
  const told = new LRUCache<string, true>({ max: TOLD_MAX });

  function tell({ params, requestId }: Exchange): void {
    if (!params) return;
    const document = params.query === '' ? idOf(params) : hashOf(params.query);
    if (document === null || told.has(document)) return;
    told.set(document, true);
    const { operationName } = params;
    log.warn({ document, operationName, requestId }, 'a document is not among the trusted ones');
  }

  return {
    name: 'trusted-documents',
    run(exchange) {
      const params = paramsOf(exchange);
      const id = idOf(params);
      if (trusted && isTrusted(exchange, trusted, id)) return;
      if (mode === 'enforce') throw required();
      if (params.query === '' && params.documentId !== undefined) throw notFound();
      if (mode === 'log') tell(exchange);
    },
  };
}

/** Puts the text in the place of an id that is known. */
function isTrusted(
  exchange: Exchange,
  trusted: NonNullable<TrustedDocumentsDeps['trusted']>,
  id: string | null,
): boolean {
  const params = paramsOf(exchange);
  if (params.query !== '') return trusted.has(params.query);
  const text = id === null ? undefined : trusted.find(id);
  if (text === undefined) return false;
  // An id need not be the hash of its text: who looks at hashes has nothing to look at any more.
  const { persistedQuery: _id, ...extensions } = params.extensions;
  exchange.params = { ...params, query: text, extensions };
  return true;
}

function idOf({ documentId, extensions }: OperationParams): string | null {
  if (documentId !== undefined) return documentId;
  const { sha256Hash } = (extensions.persistedQuery ?? {}) as { sha256Hash?: unknown };
  return typeof sha256Hash === 'string' ? sha256Hash : null;
}

const required = () =>
  new Refusal(
    'PERSISTED_QUERY_REQUIRED',
    'Only registered documents are answered here: send the id of one, or its exact text.',
  );

const notFound = () => new Refusal('PERSISTED_QUERY_NOT_FOUND', 'No document is registered under this id.');
