/**
 * The upstream of a subgraph in this process: no socket, no serialisation, and the same door. Like a socket it may be lost, when
 * the subgraph stops, and is then asked again for as long as a listener would wait for a socket.
 */
import type { LocalSubscribePayload } from '@taskflow/kit/service-local-stream';
import type { LocalSubgraph } from '../gateway/local-transport.ts';
import type { SubscribePayload, Upstream, UpstreamListener } from './upstream.ts';

const RETRY_MS = 100;
const PATIENCE_MS = 60_000;
/** Of a listener that has not been taken up yet: as long as a query would wait. */
const FIRST_PATIENCE_MS = 5_000;

export function createLocalUpstream(subgraph: LocalSubgraph): Upstream {
  const open = new Set<() => void>();
  let isStopped = false;

  function listen(start: () => SubscribePayload, listener: UpstreamListener): () => void {
    let leave = () => {};
    let retry: NodeJS.Timeout | undefined;
    let lostAt: number | null = null;
    let patienceMs = FIRST_PATIENCE_MS;

    function close(): void {
      clearTimeout(retry);
      open.delete(close);
      leave();
    }

    function lost(): void {
      if (!open.has(close)) return;
      lostAt ??= Date.now();
      if (Date.now() - lostAt < patienceMs) retry = setTimeout(begin, RETRY_MS * (0.5 + Math.random()));
      else {
        close();
        listener.unavailable();
      }
    }

    function begin(): void {
      leave = subgraph.subscribe(start() as LocalSubscribePayload, {
        next(result) {
          lostAt = null;
          patienceMs = PATIENCE_MS;
          // What it would weigh as a message.
          listener.next(result, JSON.stringify(result).length);
        },
        refused(errors) {
          open.delete(close);
          listener.refused(errors);
        },
        completed() {
          open.delete(close);
          listener.completed();
        },
        lost,
      });
    }

    open.add(close);
    begin();
    return close;
  }

  return {
    subscribe(start, listener) {
      if (!isStopped) return listen(start, listener);
      queueMicrotask(() => listener.unavailable());
      return () => {};
    },
    status: () => ({ state: isStopped ? 'stopped' : 'open', subscriptions: open.size }),
    stop() {
      isStopped = true;
      for (const close of [...open]) close();
    },
  };
}
