// needs       params, perhaps with extensions.persistedQuery { version: 1, sha256Hash } (automatic persisted queries)
// adds        params.query for a hash alone; registersAs for a text with its hash, which parse-validate keeps when it is valid
// may answer  PERSISTED_QUERY_NOT_FOUND 200 (send the text as well) · BAD_REQUEST 400 (version, or a hash of another text)

import { type Exchange, paramsOf, Refusal } from '../exchange.ts';
import { hashOf, type PersistedDocuments } from '../gateway/persisted-documents.ts';
import type { RequestStage } from '../pipeline.ts';

/** Apollo Server's sentences: clients compare them. */
export const NOT_FOUND_MESSAGE = 'PersistedQueryNotFound';
export const WRONG_VERSION_MESSAGE = 'Unsupported persisted query version';
export const WRONG_HASH_MESSAGE = 'provided sha does not match query';

export function createPersistedQueries({ persisted }: { persisted: PersistedDocuments }): RequestStage {
  return {
    name: 'persisted-queries',
    async run(exchange) {
      const params = paramsOf(exchange);
      const { persistedQuery } = params.extensions;
      if (persistedQuery == null) return;
      const { version, sha256Hash: hash } = persistedQuery as { version?: unknown; sha256Hash?: unknown };
      if (version !== 1) throw new Refusal('BAD_REQUEST', WRONG_VERSION_MESSAGE);
      if (params.query === '') params.query = await textOf(persisted, hash);
      else register(exchange, hash);
    },
  };
}

async function textOf(persisted: PersistedDocuments, hash: unknown): Promise<string> {
  const text = typeof hash === 'string' ? await persisted.find(hash) : undefined;
  if (text !== undefined) return text;
  throw new Refusal('PERSISTED_QUERY_NOT_FOUND', NOT_FOUND_MESSAGE, { status: 200 });
}

function register(exchange: Exchange, hash: unknown): void {
  if (hash !== hashOf(paramsOf(exchange).query)) throw new Refusal('BAD_REQUEST', WRONG_HASH_MESSAGE);
  exchange.registersAs = hash;
}
