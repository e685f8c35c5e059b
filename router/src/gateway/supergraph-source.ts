// Where the text of the supergraph comes from: a file, or an address that is asked with the ETag of the last answer.
//
//   address ──304──▶ unchanged          2xx ──▶ the text, copied to a file when one is named
//          └─ anything else, too late, too large ──▶ rejects; at the start the copy stands in, when there is one

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Log } from '@taskflow/kit/log';
import type { Dispatcher } from 'undici';

export interface SupergraphSource {
  /** As people know it: without credentials or query. */
  readonly name: string;
  /** The text as it is now, or null when it is certainly the one that was read last. Rejects when it cannot be read. */
  read(): Promise<string | null>;
  /** For a start at which `read` failed: the last text that was good, or null. */
  readCopy(): Promise<string | null>;
  /** This text was taken into use. Never rejects. */
  keep(sdl: string): Promise<void>;
}

export function createFileSource(file: string): SupergraphSource {
  return {
    name: file,
    read: () => readFile(file, 'utf8'),
    readCopy: async () => null,
    async keep() {},
  };
}

export interface UrlSourceOptions {
  url: string;
  /** A copy of what is in use is kept here, so that a router can start while nobody answers; null: none. */
  copyFile: string | null;
  timeoutMs: number;
  dispatcher: Dispatcher;
  log: Log;
}

/** Ten times the largest supergraph that we have heard of (1.5 MB). */
const BYTES_MAX = 16 * 1024 * 1024;

export function createUrlSource(options: UrlSourceOptions): SupergraphSource {
  const { url, copyFile, log } = options;
  const address = new URL(url);
  let tag: string | null = null;
  return {
    name: `${address.origin}${address.pathname}`,
    async read() {
      const answer = await ask(options, address, tag);
      if (answer === null) return null;
      tag = answer.tag;
      return answer.text;
    },
    async readCopy() {
      return copyFile ? await readFile(copyFile, 'utf8').catch(() => null) : null;
    },
    async keep(sdl) {
      if (!copyFile) return;
      try {
        await mkdir(dirname(copyFile), { recursive: true });
        await writeFile(`${copyFile}.${process.pid}.new`, sdl);
        await rename(`${copyFile}.${process.pid}.new`, copyFile);
      } catch (error) {
        log.warn({ err: error, file: copyFile }, 'the supergraph could not be copied');
      }
    },
  };
}

async function ask(
  { dispatcher, timeoutMs }: UrlSourceOptions,
  address: URL,
  tag: string | null,
): Promise<{ text: string; tag: string | null } | null> {
  const response = await dispatcher.request({
    origin: address.origin,
    path: address.pathname + address.search,
    method: 'GET',
    headers: {
      accept: 'application/graphql, text/plain;q=0.9, */*;q=0.1',
      ...(tag ? { 'if-none-match': tag } : {}),
    },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const { statusCode, headers, body } = response;
  if (statusCode !== 200) {
    await body.dump();
    if (statusCode === 304 && tag) return null;
    // Redirects as well: whoever may answer is named in the configuration.
    throw new Error(`HTTP ${statusCode} in place of a supergraph`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BYTES_MAX) throw new Error(`more than ${BYTES_MAX} bytes in place of a supergraph`);
    chunks.push(chunk);
  }
  const etag = headers.etag;
  return { text: Buffer.concat(chunks).toString('utf8'), tag: typeof etag === 'string' ? etag : null };
}
