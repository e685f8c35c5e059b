// The supergraph in use, and its replacement while requests run.
//
//   file ──read──▶ loadSupergraph ──accepted──▶ current() ──▶ swap listeners
//     ▲ polled          │ refused: logged, the last good one stays
//     └─────────────────┘
//
// Each loaded file is a gateway of its own, so a swap replaces one reference, and an operation in flight ends
// on the schema it was validated against. A replaced gateway holds no timer and no socket (connections belong to
// the router): dropping the reference is all there is to stop.

import { readFile } from 'node:fs/promises';
import type { Log } from '@taskflow/kit/log';
import { type LoadedSupergraph, type LoadOptions, loadSupergraph } from './loaded-supergraph.ts';

export interface Supergraph {
  /** The supergraph for new operations. Throws before `start` has loaded one. */
  current(): LoadedSupergraph;
  /** Called after each replacement, with the new and the old one. Returns the way to stop listening. */
  onSwap(listener: (next: LoadedSupergraph, previous: LoadedSupergraph) => void): () => void;
  /** Loads the file (rejects when it is absent or refused) and watches it. */
  start(): Promise<void>;
  /** Looks at the file now. True when it was replaced; a file that is refused is logged and changes nothing. */
  refresh(): Promise<boolean>;
  stop(): void;
}

export interface SupergraphOptions extends Omit<LoadOptions, 'sdl'> {
  file: string;
  /** How often the file is looked at; 0 = never. */
  pollMs: number;
  log: Log;
}

export function createSupergraph(options: SupergraphOptions): Supergraph {
  const { file, pollMs, log } = options;
  const listeners = new Set<(next: LoadedSupergraph, previous: LoadedSupergraph) => void>();
  let loaded: LoadedSupergraph | null = null;
  let refused: string | null = null;
  let refreshing: Promise<boolean> | null = null;
  let timer: NodeJS.Timeout | null = null;

  function current(): LoadedSupergraph {
    if (!loaded) throw new Error('No supergraph is loaded.');
    return loaded;
  }

  async function replaceWhenChanged(): Promise<boolean> {
    const previous = current();
    try {
      const sdl = await readFile(file, 'utf8');
      if (sdl === previous.sdl || sdl === refused) return false;
      refused = sdl;
      const next = await loadSupergraph({ ...options, sdl });
      refused = null;
      loaded = next;
      log.info({ supergraph: next.id.slice(0, 12) }, 'supergraph replaced');
      for (const listener of listeners) listener(next, previous);
      return true;
    } catch (error) {
      log.error({ err: error, file }, 'supergraph refused: the last good one stays');
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
      loaded = await loadFirst(options);
      if (pollMs > 0) timer = setInterval(() => void refresh(), pollMs).unref();
    },
    stop() {
      if (timer) clearInterval(timer);
    },
  };
}

/** One line says what is wrong with the file: it is read by whoever started the process. */
async function loadFirst(options: SupergraphOptions): Promise<LoadedSupergraph> {
  try {
    return await loadSupergraph({ ...options, sdl: await readFile(options.file, 'utf8') });
  } catch (error) {
    const why = (error as Error).message.replace(/\s*\n\s*/g, ' ');
    throw new Error(`the supergraph ${options.file} cannot be served: ${why}`, { cause: error });
  }
}
