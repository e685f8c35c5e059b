// Parsed documents, once per text.
//
// Only documents within the limits are kept, so that hostile ones cannot push good ones out cheaply. What is known of a
// document hangs on its entry: that it passed the limits, and against which supergraph it was validated.

import { type DocumentNode, type FragmentDefinitionNode, Kind } from 'graphql';
import { LRUCache } from 'lru-cache';

export interface KnownDocument {
  readonly document: DocumentNode;
  /** Ids of the supergraph it is valid for; empty until it was validated. */
  validFor: string;
  /** Requests that asked it, those of long ago counting less. */
  uses: number;
  /** The operation names that came with it; empty for none. */
  readonly asked: Set<string>;
}

export interface Documents {
  find(text: string): KnownDocument | undefined;
  keep(text: string, document: DocumentNode): KnownDocument;
  /** Those that are asked most, the hottest first. */
  hottest(max: number): KnownDocument[];
}

/** 8 M characters of source: 250 documents of the largest size, tens of thousands of ordinary ones. */
const TEXT_LENGTH_MAX = 8_000_000;

export function createDocuments(): Documents {
  const known = new LRUCache<string, KnownDocument>({
    maxSize: TEXT_LENGTH_MAX,
    sizeCalculation: (_entry, text) => text.length + 1,
  });
  return {
    find: (text) => known.get(text),
    keep(text, document) {
      const entry = { document, validFor: '', uses: 0, asked: new Set<string>() };
      known.set(text, entry);
      return entry;
    },
    hottest(max) {
      const entries = [...known.values()].sort((a, b) => b.uses - a.uses);
      for (const entry of entries) entry.uses /= 2;
      return entries.slice(0, max);
    },
  };
}

/** A document's fragments, by name. */
export function fragmentsOf({ definitions }: DocumentNode): Map<string, FragmentDefinitionNode> {
  return new Map(
    definitions.flatMap((one) => (one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one]] : [])),
  );
}
