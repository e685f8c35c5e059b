// The port of the router: who sends slowly, sends too much head, or comes with too many connections is cut by it.
//
// Half-open requests cost a socket each until `headersTimeoutMs`, and nothing else: no exchange begins before the head of a
// request is whole.

import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { createHttpServer } from '@taskflow/kit/service-wire';

export interface ConnectionLimits {
  /** For the head of a request, and for all of it. */
  headersTimeoutMs: number;
  requestTimeoutMs: number;
  headerBytesMax: number;
  /** Then the connection is closed behind its answer, so that a balancer spreads its clients anew; 0 = no limit. */
  requestsPerConnectionMax: number;
  /** 0 = no limit: behind a proxy all connections come from its address. */
  connectionsPerAddressMax: number;
}

export function createRouterServer(limits: ConnectionLimits): Server {
  const { headersTimeoutMs, requestTimeoutMs, headerBytesMax } = limits;
  const server = createHttpServer({ headersTimeoutMs, requestTimeoutMs, headerBytesMax });
  server.maxRequestsPerSocket = limits.requestsPerConnectionMax;
  if (limits.connectionsPerAddressMax > 0) limitPerAddress(server, limits.connectionsPerAddressMax);
  return server;
}

/** One connection too many is closed before a byte of it is read; WebSockets count as long as they are open. */
function limitPerAddress(server: Server, max: number): void {
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (open.get(address) ?? 0) + 1;
    if (count > max) {
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
  });
}
