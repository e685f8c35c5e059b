/**
 * Operations of one socket: each a fresh exchange on its way through the same pipeline as over HTTP.
 *
 *   subscribe message ──▶ exchange ──prepare──▶ query, mutation: execute, one frame
 *                                          └──▶ subscription: primary at its subgraph ──▶ one frame per event
 */
import type { FetchNode, SubscriptionNode } from '@apollo/query-planner';
import { bytesOfSubscription } from '@taskflow/kit/identity';
import { type DocumentNode, GraphQLError, type GraphQLFormattedError, type OperationTypeNode } from 'graphql';
import { bodyText, type Exchange, type OperationParams, paramsOf, preparedOf, Refusal } from '../exchange.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';
import type { Pipeline } from '../pipeline.ts';
import { type Epochs, tenantOf } from '../scope.ts';
import { checkedParams } from '../stages/body-limits.ts';
import { createDelivery, type Delivery, type DeliveryLimits, type Failure } from './delivery.ts';
import { createEventRenderer } from './events.ts';
import { type Feed, type FeedListener, type FeedSource, openFeed } from './feeds.ts';
import type { Gate } from './gate.ts';
import { createMovingFeed } from './moving-feed.ts';
import type { SharedFeeds } from './shared-feeds.ts';
import { shareOf } from './sharing.ts';
import { openSplicedFeed } from './spliced-feed.ts';
import { ASK_ANEW, successionOf } from './succession.ts';
import type { Upstream, UpstreamError } from './upstream.ts';

export interface OperationDeps {
  readonly pipeline: Pipeline;
  /** The shared connection to a subgraph of this supergraph. */
  upstreamOf(supergraph: LoadedSupergraph, subgraph: string): Upstream;
  /** Bounds how many events are rendered at once in this process. */
  readonly gate: Gate;
  /** Of the viewers of this process who read the same. */
  readonly sharedFeeds: SharedFeeds;
  /** An event tells that something has changed: what is read for it joins no read that began before it. */
  readonly epochs: Pick<Epochs, 'move'>;
  /** Called with each new supergraph. Returns the way to stop listening. */
  onSwap(listener: (next: LoadedSupergraph) => void): () => void;
  readonly limits?: Partial<DeliveryLimits>;
}

/** Where an operation's frames go: the client's end of a socket or an HTTP stream. */
export interface FrameSink {
  /** Resolves when the connection has taken the payload of a `next` frame, or is gone. `cursor`: that of its event. */
  write(payload: string, cursor: string | null): Promise<void>;
  /** Bytes that wait in the connection. */
  bufferedBytes(): number;
}

/** The payload of a `subscribe` message, as graphql-ws has checked it. */
export interface SubscribeMessage {
  readonly query: string;
  readonly operationName?: string | null | undefined;
  readonly variables?: Record<string, unknown> | null | undefined;
  readonly extensions?: Record<string, unknown> | null | undefined;
}

/** Filters nest; nothing a person or a tool writes nests this deep. */
const MESSAGE_DEPTH_MAX = 32;

const NO_MUTATIONS = 'A socket that was authenticated by a cookie carries no mutations: send them over HTTP.';

export interface Refused {
  readonly kind: 'refused';
  readonly errors: readonly GraphQLError[];
}

export interface Started {
  readonly kind: 'started';
  readonly operation: OperationTypeNode;
  readonly supergraph: LoadedSupergraph;
  readonly document: DocumentNode;
  readonly delivery: Delivery;
}

/** Starts the operation that a subscribe message asks for. Never rejects: what is wrong is told as errors. */
export async function startOperation(
  deps: OperationDeps,
  exchange: Exchange,
  message: SubscribeMessage,
  sink: FrameSink,
): Promise<Refused | Started> {
  const { pipeline } = deps;
  try {
    exchange.params = paramsOfMessage(message);
    const refusal = await pipeline.prepare(exchange);
    if (refusal) return { kind: 'refused', errors: toGraphQLErrors(refusal.body?.errors) };
    const { document, operation, supergraph } = preparedOf(exchange);
    // What signs in answers with tokens, which a page that lives on cookies must not see; and no frame can set a cookie.
    if (exchange.cookies && operation.operation === 'mutation')
      throw new Refusal('BAD_REQUEST', NO_MUTATIONS);
    const deliver = operation.operation === 'subscription' ? deliverEvents : deliverAnswer;
    const delivery = deliver(deps, exchange, sink);
    return { kind: 'started', operation: operation.operation, supergraph, document, delivery };
  } catch (error) {
    return refuse(pipeline, exchange, error instanceof Error ? error : new Error(String(error)));
  }
}

function paramsOfMessage(message: SubscribeMessage): OperationParams {
  if (isDeeperThan(message, MESSAGE_DEPTH_MAX)) {
    throw new Refusal('BAD_REQUEST', `The message nests deeper than ${MESSAGE_DEPTH_MAX} levels.`);
  }
  return checkedParams({ ...message });
}

/** Walks without recursion: a message that nests too deeply overflows the stack of whoever does not. */
function isDeeperThan(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}

/** A refusal as the client reads it, through the same response stages as every other error. */
export async function refuse(pipeline: Pipeline, exchange: Exchange, error: Error): Promise<Refused> {
  const { body } = await pipeline.respond(exchange, error);
  return { kind: 'refused', errors: toGraphQLErrors(body?.errors) };
}

/** A query or mutation over the socket: one frame, then complete. */
function deliverAnswer({ pipeline }: OperationDeps, exchange: Exchange, sink: FrameSink): Delivery {
  return {
    async run() {
      const { body } = await pipeline.execute(exchange);
      if (body) await sink.write(bodyText(body), null);
    },
    // Absences: what has started is finished, a mutation above all; the sink of a left operation takes nothing.
    leave() {},
    stop() {},
  };
}

/** The events of a subscription whose exchange has passed `prepare`. */
export function deliverEvents(deps: OperationDeps, exchange: Exchange, sink: FrameSink): Delivery {
  const { pipeline, limits } = deps;
  // Of now: what the events of a new plan are rendered by is not what those of the old one are.
  let current = exchange;
  const feed = createMovingFeed((listener, after) => openFor(deps, current, listener, after));
  const delivery = createDelivery({
    open: feed.open,
    write: sink.write,
    bufferedBytes: sink.bufferedBytes,
    explain: (failure) => explain(pipeline, exchange, primaryOf(current).serviceName, failure),
    ...(limits ? { limits } : {}),
  });

  function swapTo(next: LoadedSupergraph): void {
    const how = successionOf(current, next);
    if (how.kind === 'ended') {
      delivery.stop(how.why);
      return;
    }
    const shared = shareOf(current)?.key;
    if (how.kind === 'same') current.prepared = how.prepared;
    else current = { ...current, prepared: how.prepared };
    const share = shareOf(current);
    if (how.kind === 'another' || share?.key !== shared) {
      if (!feed.move()) delivery.stop(ASK_ANEW);
    } else if (share) deps.sharedFeeds.use(share.key, preparedOf(share.exchange));
  }

  return {
    leave: delivery.leave,
    stop: delivery.stop,
    async run() {
      const stopSwapping = deps.onSwap(swapTo);
      await delivery.run().finally(stopSwapping);
      // Nobody reads this answer: it ends the exchange, with its line in the access log.
      await pipeline.respond(exchange, {});
    },
  };
}

/** The feed of this viewer, or that of all who read the same. */
function openFor(
  deps: OperationDeps,
  exchange: Exchange,
  listener: FeedListener,
  after: number | null,
): Feed {
  const own = feedSourceOf(deps, exchange);
  const share = shareOf(exchange);
  if (!share) return openFeed(own, listener, after);
  const attach = (hears: FeedListener) =>
    deps.sharedFeeds.attach(share.key, () => feedSourceOf(deps, share.exchange), hears);
  return openSplicedFeed({ own, attach, isResuming: share.isResuming, limits: deps.limits }, listener, after);
}

function feedSourceOf({ pipeline, gate, upstreamOf, epochs }: OperationDeps, exchange: Exchange): FeedSource {
  const { supergraph } = preparedOf(exchange);
  const primary = primaryOf(exchange);
  const render = createEventRenderer({ pipeline, exchange });
  return {
    upstream: upstreamOf(supergraph, primary.serviceName),
    primary,
    variables: paramsOf(exchange).variables,
    sign: (query, used) =>
      pipeline.signContext(exchange, primary.serviceName, bytesOfSubscription(query, used)),
    render(result) {
      epochs.move(tenantOf(exchange));
      return gate.run(() => render(result));
    },
    use(prepared) {
      exchange.prepared = prepared;
    },
  };
}

/** The fetch whose answers the events are. */
function primaryOf(exchange: Exchange): FetchNode {
  const { compiled } = preparedOf(exchange);
  return subscriptionOf(compiled.planFor(paramsOf(exchange).variables).node).primary;
}

function subscriptionOf(node: { kind: string } | undefined): SubscriptionNode {
  if (node?.kind !== 'Subscription') throw new Error('The planner made no subscription plan.');
  return node as SubscriptionNode;
}

/** What the client is told, through the same response stages as every other error. */
async function explain(pipeline: Pipeline, exchange: Exchange, subgraph: string, failure: Failure) {
  const { body } = await pipeline.respond(exchange, errorsOf(failure, subgraph));
  const [first] = (body?.errors ?? []) as readonly GraphQLFormattedError[];
  return first ?? { message: 'The subscription ended.' };
}

function errorsOf(failure: Failure, subgraph: string) {
  if (failure.kind === 'stopped') return failure.error;
  if (failure.kind === 'refused')
    return { errors: failure.errors.map((error) => toRawError(error, subgraph)) };
  if (failure.kind === 'unavailable') {
    return new Refusal(
      'SUBGRAPH_UNAVAILABLE',
      'A part of the service is unavailable for a moment. Please try again.',
      {
        retryable: true,
      },
    );
  }
  // Of the closed list, the code that says "you and we differ in speed": slow down, or go on from the cursor.
  return new Refusal(
    'RATE_LIMITED',
    'Events came faster than this connection took them. Subscribe again with `after` set to the cursor.',
    { retryable: true },
  );
}

/** In the form in which the gateway hands on a subgraph's error, so that mask-errors treats both alike. */
function toRawError({ message, path, extensions }: UpstreamError, serviceName: string): GraphQLError {
  return new GraphQLError(message, {
    ...(path ? { path } : {}),
    extensions: { ...extensions, serviceName },
  });
}

/** graphql-ws wants GraphQLError instances; what it sends of them is exactly the masked error. */
function toGraphQLErrors(errors: readonly (GraphQLError | GraphQLFormattedError)[] = []): GraphQLError[] {
  return errors.map((error) => {
    const formatted = error instanceof GraphQLError ? error.toJSON() : error;
    return Object.assign(new GraphQLError(formatted.message), { toJSON: () => formatted });
  });
}
