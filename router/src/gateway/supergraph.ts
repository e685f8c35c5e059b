// The supergraph in use, and its replacement while requests run.
//
//   source ──read──▶ same text: nothing
//     ▲ polled   └─▶ loadSupergraph ──▶ every new address answers ──▶ hot operations planned ──▶ current() ──▶ swap listeners
//     │                 │ not valid         │ not healthy: looked at again
//     └─────────────────┴───────────────────┴─▶ refused: logged once, told by status(); the last good one stays
//
// Each loaded file is a gateway of its own, so a swap replaces one reference, and an operation in flight ends
// on the schema it was validated against. A replaced gateway holds no timer and no socket (connections belong to
// the router): dropping the reference is all there is to stop.

import { createHash } from 'node:crypto';
import type { Log } from '@taskflow/kit/log';
import {
  type LoadedSupergraph,
  type LoadOptions,
  loadSupergraph,
  type Subgraph,
} from './loaded-supergraph.ts';
import type { SupergraphSource } from './supergraph-source.ts';

export interface Supergraph {
  /** The supergraph for new operations. Throws before `start` has loaded one. */
  current(): LoadedSupergraph;
  /** Called after each replacement, with the new and the old one. Returns the way to stop listening. */
  onSwap(listener: (next: LoadedSupergraph, previous: LoadedSupergraph) => void): () => void;
  /** Loads the supergraph (rejects when it is absent or refused) and watches its source. */
  start(): Promise<void>;
  /** Looks at the source now. True when it was replaced; a text that is refused is logged and changes nothing. */
  refresh(): Promise<boolean>;
  status(): SupergraphStatus;
  stop(): void;
}

/** For `/health`: categories and names, never a host or a message. */
export interface SupergraphStatus {
  /** The first letters of the SHA-256 of the text in use. */
  readonly version: string;
  readonly loadedAt: string;
  /** Replacements since the start. */
  readonly swaps: number;
  readonly refused: RefusedSupergraph | null;
}

export interface RefusedSupergraph {
  /** Null when there was nothing to read. */
  readonly version: string | null;
  readonly reason: 'UNREADABLE' | 'NOT_VALID' | 'SUBGRAPH_DOES_NOT_ANSWER';
  /** Those that do not answer. */
  readonly subgraphs: readonly string[];
  readonly since: string;
}

export interface SupergraphOptions extends Omit<LoadOptions, 'sdl'> {
  source: SupergraphSource;
  /** How often the source is looked at; 0 = never. */
  pollMs: number;
  /** Whether an address that was not called so far answers; absent: taken for granted. */
  answers?: ((url: string) => Promise<boolean>) | undefined;
  /** Prepares the next one for the operations that come. Returns what is to be done at the moment of the swap. */
  warmUp?: ((next: LoadedSupergraph) => Promise<() => void>) | undefined;
  log: Log;
}

/** Why a text is not taken into use. */
class Refused extends Error {
  override readonly name = 'Refused';
  readonly refused: Pick<RefusedSupergraph, 'reason' | 'subgraphs'>;
  constructor(
    reason: RefusedSupergraph['reason'],
    message: string,
    { subgraphs = [], cause }: { subgraphs?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.refused = { reason, subgraphs };
  }
}

export function createSupergraph(options: SupergraphOptions): Supergraph {
  const { source, pollMs, log } = options;
  const listeners = new Set<(next: LoadedSupergraph, previous: LoadedSupergraph) => void>();
  let loaded: LoadedSupergraph | null = null;
  let loadedAt = '';
  let swaps = 0;
  let refused: RefusedSupergraph | null = null;
  /** The newest text that is not in use: an address that answers 304 means it, too. */
  let pending: string | null = null;
  let refreshing: Promise<boolean> | null = null;
  let timer: NodeJS.Timeout | null = null;

  function current(): LoadedSupergraph {
    if (!loaded) throw new Error('No supergraph is loaded.');
    return loaded;
  }

  function use(next: LoadedSupergraph): void {
    loaded = next;
    loadedAt = new Date().toISOString();
    pending = null;
    refused = null;
  }

  function refuse(error: unknown, sdl: string | null): void {
    const why =
      error instanceof Refused ? error : new Refused('NOT_VALID', 'it cannot be served', { cause: error });
    const { reason, subgraphs } = why.refused;
    const version = sdl === null ? null : versionOf(sdl);
    const isKnown =
      refused?.reason === reason && refused.version === version && `${refused.subgraphs}` === `${subgraphs}`;
    if (isKnown) return;
    refused = { version, reason, subgraphs, since: new Date().toISOString() };
    log.error({ err: why, source: source.name, version }, 'supergraph refused: the last good one stays');
  }

  async function replaceWhenChanged(): Promise<boolean> {
    const previous = current();
    let sdl: string | null = null;
    try {
      sdl = (await readFrom(source)) ?? pending ?? previous.sdl;
      if (sdl === previous.sdl) {
        pending = null;
        refused = null;
        return false;
      }
      // What is not valid stays so; an address may answer the next time.
      if (sdl === pending && refused?.reason === 'NOT_VALID') return false;
      pending = sdl;
      const next = await loadSupergraph({ ...options, sdl });
      await requireAnswers(newAddresses(next, previous), options.answers);
      const settle = await options.warmUp?.(next);
      use(next);
      swaps++;
      settle?.();
      log.info({ supergraph: versionOf(sdl) }, 'supergraph replaced');
      for (const listener of listeners) listener(next, previous);
      await source.keep(sdl);
      return true;
    } catch (error) {
      refuse(error, sdl);
      return false;
    }
  }

  function refresh(): Promise<boolean> {
    refreshing ??= replaceWhenChanged().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  return {
    current,
    refresh,
    onSwap(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start() {
      use(await loadFirst(options));
      if (pollMs > 0) timer = setInterval(() => void refresh(), pollMs).unref();
    },
    status: () => ({ version: versionOf(current().sdl), loadedAt, swaps, refused }),
    stop() {
      if (timer) clearInterval(timer);
    },
  };
}

const VERSION_LENGTH = 12;

function versionOf(sdl: string): string {
  return createHash('sha256').update(sdl).digest('hex').slice(0, VERSION_LENGTH);
}

async function readFrom(source: SupergraphSource): Promise<string | null> {
  try {
    return await source.read();
  } catch (error) {
    throw new Refused('UNREADABLE', 'it cannot be read', { cause: error });
  }
}

function newAddresses(next: LoadedSupergraph, previous: LoadedSupergraph): Subgraph[] {
  const known = new Set([...previous.subgraphs.values()].map(({ url }) => url));
  return [...next.subgraphs.values()].filter(({ url }) => !known.has(url));
}

async function requireAnswers(
  subgraphs: readonly Subgraph[],
  answers: SupergraphOptions['answers'],
): Promise<void> {
  if (!answers) return;
  const asked = await Promise.all(
    subgraphs.map(async ({ name, url }) => ({ name, isUp: await answers(url) })),
  );
  const silent = asked.filter(({ isUp }) => !isUp).map(({ name }) => name);
  if (silent.length === 0) return;
  throw new Refused('SUBGRAPH_DOES_NOT_ANSWER', `no answer from ${silent.join(', ')}`, { subgraphs: silent });
}

/** One line says what is wrong with the file: it is read by whoever started the process. */
async function loadFirst(options: SupergraphOptions): Promise<LoadedSupergraph> {
  const { source, log } = options;
  try {
    const sdl = await source.read().catch(async (error) => {
      const copy = await source.readCopy();
      if (copy === null) throw error;
      log.warn({ err: error, source: source.name }, 'the supergraph cannot be read: its last copy is served');
      return copy;
    });
    if (sdl === null) throw new Error('it is empty');
    const first = await loadSupergraph({ ...options, sdl });
    await source.keep(sdl);
    return first;
  } catch (error) {
    const why = (error as Error).message.replace(/\s*\n\s*/g, ' ');
    throw new Error(`the supergraph ${source.name} cannot be served: ${why}`, { cause: error });
  }
}
