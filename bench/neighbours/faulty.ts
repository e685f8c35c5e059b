/** A stand-in between the router and one subgraph, which can be told to fail. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Pool } from 'undici';

export const FAULTS = ['5 s late', 'hanging', 'closing connections', 'answering HTML'] as const;
export type Fault = (typeof FAULTS)[number];

const LATE_MS = 5_000;

export interface Faulty {
  readonly url: string;
  /** Null: passes everything on. */
  become(fault: Fault | null): void;
  stop(): Promise<void>;
}

export async function startFaulty(to: string): Promise<Faulty> {
  const { origin, pathname } = new URL(to);
  const pool = new Pool(origin, { connections: 64, pipelining: 1 });
  const waiting = new Set<NodeJS.Timeout>();
  let fault: Fault | null = null;

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const headers = { 'content-type': 'application/json' };
    const answer = await pool.request({ path: pathname, method: 'POST', headers, body });
    response.writeHead(answer.statusCode, headers).end(await answer.body.text());
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const serve = () => pass(request, response).catch(() => response.destroy());
    if (fault === null) void serve();
    else if (fault === 'closing connections') request.socket.destroy();
    else if (fault === 'answering HTML') response.writeHead(200).end('<h1>Maintenance</h1>');
    else if (fault === '5 s late') {
      const timer = setTimeout(() => {
        waiting.delete(timer);
        void serve();
      }, LATE_MS);
      waiting.add(timer);
    }
  }

  const server = createServer(answer);
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    become(next) {
      fault = next;
      for (const timer of waiting) clearTimeout(timer);
      waiting.clear();
      // What hung before must not hang on in a healthy round.
      if (next === null) for (const socket of sockets) socket.destroy();
    },
    stop: () => stopServer(server, pool),
  };
}

async function stopServer(server: Server, pool: Pool): Promise<void> {
  server.closeAllConnections();
  server.close();
  await pool.destroy();
}
