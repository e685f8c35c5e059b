/**
 * GraphQL subscriptions over graphql-ws between router and subgraph: one socket, many viewers.
 *
 * The socket proves nothing. Each subscribe message carries its own signed context in `extensions.context`, over
 * `bytesOfSubscription(query, variables)`, and is verified before it is parsed. A refusal is RETURNED as errors of
 * that operation: (measured) a throw closes the socket under every other viewer.
 * The context proves the start of an operation; its end (expiry, revocation) belongs to the router.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  OperationTypeNode,
  parse,
  validate,
} from 'graphql';
import { handleProtocols, makeServer, type SubscribeMessage } from 'graphql-ws';
import { LRUCache } from 'lru-cache';
import { type WebSocket, WebSocketServer } from 'ws';
import { toClientError } from './errors.ts';
import { bytesOfSubscription } from './identity.ts';
import type { Log } from './log.ts';
import {
  type BuildContext,
  buildContext,
  type Caller,
  type Gate,
  type Origin,
  problemOf,
  unauthenticated,
} from './service-context.ts';
import type { ObservedRequest } from './service-http.ts';
import {
  createLocalStreams,
  type LocalListener,
  type LocalSubscribePayload,
} from './service-local-stream.ts';
import { openStream, type StreamArgs } from './service-stream.ts';

/** The largest operation the router forwards (1 MB, as over HTTP). */
const PAYLOAD_BYTES_MAX = 1024 * 1024;
/** A half-open socket is found after two of these. */
const PING_INTERVAL_MS = 12_000;
/** How long a peer has to answer the close frame before its connection is cut. */
const CLOSE_DEADLINE_MS = 1_000;
const CLOSE_GOING_AWAY = 1001;
/** Distinct documents: a router sends one per subscription that its clients wrote. */
const DOCUMENTS_MAX = 500;

/** A call in process has no address that could excuse a missing signature. */
const IN_PROCESS: Origin = { address: undefined, isDirect: false };

export interface SocketServer {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** The same without a socket, for a router in the same process. Returns the way to leave. */
  subscribe(payload: LocalSubscribePayload, listener: LocalListener): () => void;
  /** Closes every socket with 1001, so that routers reconnect elsewhere, and waits until all are gone. */
  close(): Promise<void>;
  /** Open sockets, for health and tests. */
  count(): number;
}

interface Extra {
  readonly origin: Origin;
}

/** What onSubscribe hands to subscribe. graphql-ws reads `document` and `operationName` of it. */
interface Accepted extends StreamArgs {
  readonly contextValue: null;
}

export function createSocketServer(options: {
  schema: GraphQLSchema;
  gate: Gate;
  log: Log;
  build: BuildContext;
  observe: ((request: ObservedRequest) => void) | undefined;
  originOf(request: IncomingMessage): Origin;
}): SocketServer {
  const { schema, gate, build, observe, originOf } = options;
  const local = createLocalStreams();
  const documents = new LRUCache<string, DocumentNode>({ max: DOCUMENTS_MAX });

  function accept(caller: Caller, payload: SubscribeMessage['payload'], log: Log): Accepted {
    const document = documents.get(payload.query) ?? checkDocument(schema, payload.query);
    documents.set(payload.query, document);
    const operationName = payload.operationName ?? null;
    if (getOperationAST(document, operationName)?.operation !== OperationTypeNode.SUBSCRIPTION) {
      throw coded('BAD_REQUEST', 'Only subscriptions are answered over WebSocket.');
    }
    gate.checkFields(caller, document, operationName);
    const resumeAfter = positionOf(payload.extensions?.after);
    const { claims } = caller;
    observe?.({ operationName, query: payload.query, bodyBytes: Buffer.byteLength(payload.query) });
    return {
      schema,
      document,
      operationName,
      variableValues: payload.variables ?? null,
      contextValue: null,
      newContext: () => buildContext(build, { claims, log, resumeAfter, canEstablish: false }).context,
      mask: (error) => masked(error, claims.requestId, log),
    };
  }

  function onSubscribe(origin: Origin, payload: SubscribeMessage['payload']): Accepted | GraphQLError[] {
    let requestId: string | null = null;
    let log = options.log;
    try {
      const caller = admit(gate, origin, payload, log);
      const { viewer } = caller.claims;
      requestId = caller.claims.requestId;
      log = log.child({ requestId, orgId: viewer?.orgId, userId: viewer?.userId });
      const accepted = accept(caller, payload, log);
      log.info({ operationName: accepted.operationName }, 'subscription started');
      return accepted;
    } catch (error) {
      return [masked(error, requestId, log)];
    }
  }

  const server = makeServer<undefined, Extra>({
    onSubscribe: ({ extra }, _id, payload) => onSubscribe(extra.origin, payload),
    subscribe: (args) => openStream(args as unknown as Accepted).catch(failedStream),
  });
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: PAYLOAD_BYTES_MAX,
    perMessageDeflate: false,
    handleProtocols,
  });

  return {
    upgrade(request, socket, head) {
      sockets.handleUpgrade(request, socket, head, (opened) =>
        serve(server, opened, { origin: originOf(request) }, options.log),
      );
    },
    subscribe: (payload, listener) =>
      local.run(async () => {
        const accepted = onSubscribe(IN_PROCESS, payload as SubscribeMessage['payload']);
        return Array.isArray(accepted) ? accepted : openStream(accepted);
      }, listener),
    close() {
      local.close();
      return closeAll(sockets);
    },
    count: () => sockets.clients.size,
  };
}

function admit(gate: Gate, origin: Origin, payload: SubscribeMessage['payload'], log: Log): Caller {
  const header = payload.extensions?.context;
  const bytes = bytesOfSubscription(payload.query, payload.variables);
  try {
    return gate.admit(typeof header === 'string' ? header : undefined, bytes, origin);
  } catch (error) {
    log.warn({ problem: problemOf(error), address: origin.address }, 'unsigned subscription refused');
    throw unauthenticated();
  }
}

/** Parsed and valid against the schema; throws the first problem with its GraphQL code. */
function checkDocument(schema: GraphQLSchema, query: string): DocumentNode {
  let document: DocumentNode;
  try {
    document = parse(query);
  } catch (error) {
    throw coded('GRAPHQL_PARSE_FAILED', (error as Error).message);
  }
  const [problem] = validate(schema, document);
  if (problem) throw coded('GRAPHQL_VALIDATION_FAILED', problem.message);
  return document;
}

function coded(code: string, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code } });
}

function positionOf(after: unknown): number | null {
  if (after === undefined || after === null) return null;
  if (Number.isSafeInteger(after) && Number(after) >= 0) return Number(after);
  throw coded('BAD_USER_INPUT', 'extensions.after must be a position.');
}

/** The client-safe form of an error, still a GraphQLError because graphql-ws serialises only those. */
function masked(error: unknown, requestId: string | null, log: Log): GraphQLError {
  const told = toClientError(error, { requestId, log });
  return new GraphQLError(told.message, {
    extensions: told.extensions ?? {},
    path: told.path ?? null,
    nodes: error instanceof GraphQLError ? (error.nodes ?? null) : null,
  });
}

/** A stream whose first pull fails: graphql-ws turns that into an `error` message, which ends the operation. */
function failedStream(error: unknown): AsyncIterableIterator<never> {
  return {
    next: () => Promise.reject(error),
    return: async () => ({ done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Connects one socket to the protocol: frames in and out, keep-alive, and a log line where it breaks. */
function serve(
  server: ReturnType<typeof makeServer<undefined, Extra>>,
  socket: WebSocket,
  extra: Extra,
  log: Log,
): void {
  const closed = server.opened(
    {
      protocol: socket.protocol,
      send: (text) => sendFrame(socket, text),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => {
        socket.on('message', (frame) => {
          handle(String(frame)).catch((error) => {
            log.error({ err: error }, 'a subscription socket failed');
            socket.close(1011, 'Internal error');
          });
        });
      },
    },
    extra,
  );
  let isAlive = true;
  const pings = setInterval(() => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, PING_INTERVAL_MS);
  socket.on('pong', () => {
    isAlive = true;
  });
  socket.on('error', (error) => log.warn({ err: error }, 'a subscription socket broke'));
  socket.once('close', (code, reason) => {
    clearInterval(pings);
    void closed(code, String(reason));
  });
}

/** Resolves when the frame has left the process, so that a stream never runs ahead of its socket. */
function sendFrame(socket: WebSocket, text: string): Promise<void> {
  if (socket.readyState !== socket.OPEN) return Promise.resolve();
  return new Promise((resolve, reject) => {
    socket.send(text, (error) => (error ? reject(error) : resolve()));
  });
}

async function closeAll(sockets: WebSocketServer): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    sockets.close(() => resolve());
  });
  for (const socket of sockets.clients) socket.close(CLOSE_GOING_AWAY, 'Going away');
  const cut = setTimeout(() => {
    for (const socket of sockets.clients) socket.terminate();
  }, CLOSE_DEADLINE_MS);
  await gone;
  clearTimeout(cut);
}
