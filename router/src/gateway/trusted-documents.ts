// Documents that were registered when clients were built: a manifest on disk, read again whenever it changes.
//
//   Apollo's      { "format": "apollo-persisted-query-manifest", "version": 1, "operations": [{ "id", "name", "type", "body" }] }
//   codegen's     { "<id>": "<document>" }
//
// A new file that cannot be read, or has a document that is none, changes nothing: the last good one stays. Ids are what the
// manifest says, hashes most of the time; `sha256:` in front of one means the same as without.

import { readFile } from 'node:fs/promises';
import type { Log } from '@taskflow/kit/log';
import { parse } from 'graphql';

export interface TrustedDocuments {
  /** The text with this id. */
  find(id: string): string | undefined;
  /** Whether this very text is one of them. */
  has(text: string): boolean;
  /** Reads the file (rejects when it is no manifest) and watches it. */
  start(): Promise<void>;
  /** Looks at the file now. True when it was replaced. Never rejects. */
  refresh(): Promise<boolean>;
  stop(): void;
}

export interface TrustedDocumentsOptions {
  file: string;
  /** How often the file is looked at; 0 = only at start. */
  pollMs: number;
  log: Log;
}

interface Manifest {
  readonly source: string;
  readonly byId: ReadonlyMap<string, string>;
  readonly texts: ReadonlySet<string>;
}

export function createTrustedDocuments({ file, pollMs, log }: TrustedDocumentsOptions): TrustedDocuments {
  let manifest: Manifest = { source: '', byId: new Map(), texts: new Set() };
  let refused = '';
  let timer: NodeJS.Timeout | null = null;

  return {
    find: (id) => manifest.byId.get(plainId(id)),
    has: (text) => manifest.texts.has(text),
    async start() {
      try {
        manifest = readManifest(await readFile(file, 'utf8'));
      } catch (error) {
        throw new Error(`the trusted documents ${file} cannot be used: ${(error as Error).message}`, {
          cause: error,
        });
      }
      log.info({ documents: manifest.byId.size }, 'trusted documents are loaded');
      if (pollMs > 0) timer = setInterval(() => void this.refresh(), pollMs).unref();
    },
    async refresh() {
      try {
        const source = await readFile(file, 'utf8');
        if (source === manifest.source || source === refused) return false;
        refused = source;
        manifest = readManifest(source);
        log.info({ documents: manifest.byId.size }, 'trusted documents were replaced');
        return true;
      } catch (error) {
        log.error({ err: error, file }, 'trusted documents were refused: the last good ones stay');
        return false;
      }
    },
    stop() {
      if (timer) clearInterval(timer);
    },
  };
}

const plainId = (id: string): string => id.replace(/^sha256:/, '');

/** Throws when the text is no manifest, or one of its documents cannot be parsed. */
function readManifest(source: string): Manifest {
  const byId = new Map<string, string>();
  for (const [id, text] of entriesOf(JSON.parse(source))) {
    if (typeof text !== 'string') throw new Error(`the document "${id}" is no text`);
    parse(text, { noLocation: true });
    byId.set(plainId(id), text);
  }
  return { source, byId, texts: new Set(byId.values()) };
}

function entriesOf(value: unknown): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('it is no manifest');
  const { format, version, operations } = value as Record<string, unknown>;
  if (format === undefined) return Object.entries(value);
  if (format !== 'apollo-persisted-query-manifest' || version !== 1 || !Array.isArray(operations)) {
    throw new Error(`it is of a format that is not known: ${String(format)} ${String(version)}`);
  }
  return operations.map((operation: { id?: unknown; body?: unknown }) => [
    String(operation.id),
    operation.body,
  ]);
}
