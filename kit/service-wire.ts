/**
 * The wire side of a subgraph's port: an HTTP server with tight timeouts, and what is read off a request before
 * anybody is trusted.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Origin } from './service-context.ts';

/** Larger than any operation the router lets through (1 MB), so that the router's limit is the one people meet. */
const BODY_BYTES_MAX = 1024 * 1024 + 64 * 1024;
/** Slow senders are cut: Node's own 300 s and 60 s let a few thousand of them hold every socket. */
const REQUEST_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 5_000;
/** How often Node looks for connections past these timeouts, at most; its default of 30 s would make them 40 s. */
const CONNECTIONS_CHECK_MS_MAX = 2_000;
/** Longer than the 60 s at which load balancers drop an idle connection, so that they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const HEADER_BYTES_MAX = 16 * 1024;

export interface HttpServerLimits {
  /** For all of a request, and for its head. */
  requestTimeoutMs?: number;
  headersTimeoutMs?: number;
  headerBytesMax?: number;
}

export function createHttpServer({
  requestTimeoutMs = REQUEST_TIMEOUT_MS,
  headersTimeoutMs = HEADERS_TIMEOUT_MS,
  headerBytesMax = HEADER_BYTES_MAX,
}: HttpServerLimits = {}): Server {
  return createServer({
    requestTimeout: requestTimeoutMs,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(CONNECTIONS_CHECK_MS_MAX, headersTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    maxHeaderSize: headerBytesMax,
  });
}

/** Listens, or rejects with one sentence when the port is taken. */
export function listen(
  server: Server,
  { name, host, port }: { name: string; host: string; port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const advice = `stop the other process or set ${name.toUpperCase()}_PORT`;
      reject(isTaken ? new Error(`port ${port} on ${host} is already in use: ${advice}`) : error);
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

export function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

/** Set by proxies and by browsers; a tool on the same machine sends none of them. */
const HEADERS_OF_OTHERS = ['forwarded', 'x-forwarded-for', 'via', 'origin', 'sec-fetch-site'];

export function originOf({ headers, socket }: IncomingMessage): Origin {
  return { address: socket.remoteAddress, isDirect: !HEADERS_OF_OTHERS.some((name) => name in headers) };
}

/**
 * The exact bytes, or null when there are more than `bytesMax`; the rest is then not read. Rejects when the sender leaves
 * in the middle.
 */
export function readBody(
  request: IncomingMessage,
  bytesMax: number = BODY_BYTES_MAX,
): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > bytesMax) {
        request.pause();
        resolve(null);
      } else chunks.push(chunk);
    });
    request.once('end', () =>
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)),
    );
    request.once('error', reject);
    // An error with its stack costs 2 % of a small request: it is only made for a body that was cut off.
    request.once('close', () => {
      if (!request.complete) reject(new Error('the request ended early'));
    });
  });
}
