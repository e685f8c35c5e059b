import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { parseKeyRing } from './config.ts';
import { DomainError } from './errors.ts';
import { bytesOfSubscription, signContext, type Viewer } from './identity.ts';
import { createLog } from './log.ts';
import { createGraphqlService, type RequestContext } from './service.ts';

const ring = parseKeyRing(`k1:${'k'.repeat(32)}`);
const ada: Viewer = { orgId: 'org-a', userId: 'ada', role: 'ORG_ADMIN', sessionId: 's1' };
const grace: Viewer = { orgId: 'org-a', userId: 'grace', role: 'MEMBER', sessionId: 's2' };
const log = createLog({ process: 'ticks', level: 'silent' });

const typeDefs = `
  type Query { a: Int }
  type Subscription { ticks(kind: String): Tick!  open: Tick! }
  type Tick { n: Int!  who: String!  context: Int!  checked: Int }
`;

interface Event {
  position?: number;
  n: number;
}

/** A source that the test drives: what it pushes is what arrives, and it knows whether it was let go. */
class Source implements AsyncIterableIterator<Event> {
  isReturned = false;
  #waiting: PromiseWithResolvers<IteratorResult<Event>> | null = null;
  #queue: (Event | Error)[] = [];

  push(event: Event | Error): void {
    this.#queue.push(event);
    this.#deliver();
  }
  next(): Promise<IteratorResult<Event>> {
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#deliver();
    return promise;
  }
  async return(): Promise<IteratorResult<Event>> {
    this.isReturned = true;
    return { done: true, value: undefined };
  }
  [Symbol.asyncIterator]() {
    return this;
  }
  #deliver(): void {
    if (!this.#waiting || this.#queue.length === 0) return;
    const event = this.#queue.shift() as Event | Error;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (event instanceof Error) waiting.reject(event);
    else waiting.resolve({ done: false, value: event });
  }
}

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function startTicks() {
  const sources: Source[] = [];
  const resumed: (number | null)[] = [];
  let contexts = 0;
  const subscribe = (_s: unknown, { kind }: { kind?: string }, context: RequestContext) => {
    if (kind === 'absent') throw new DomainError('NOT_FOUND', 'There is no such thing.');
    if (kind === 'bug') throw new Error('select 10.0.0.1');
    resumed.push(context.resumeAfter);
    const source = new Source();
    sources.push(source);
    return source;
  };
  const resolve = (event: Event) => event;
  const service = createGraphqlService({
    name: 'ticks',
    host: '127.0.0.1',
    port: 0,
    typeDefs,
    resolvers: {
      Subscription: { ticks: { subscribe, resolve }, open: { subscribe, resolve } },
      Tick: {
        who: (_s: unknown, _a: unknown, context: RequestContext) => context.viewer?.userId ?? 'nobody',
        context: (_s: unknown, _a: unknown, context: RequestContext & { number: number }) => context.number,
        checked: (event: Event) => {
          if (event.n === 13) throw new Error('bug at 10.0.0.1');
          return event.n;
        },
      },
    },
    contextRing: ring,
    allowUnsigned: false,
    log,
    context: () => ({ number: ++contexts }),
    probes: {},
    anonymousFields: ['open'],
  });
  await service.start();
  cleanUps.push(() => service.stop());
  return { service, sources, resumed };
}

interface Frame {
  type: string;
  id?: string;
  // JSON of the protocol: each test asserts the shape it needs.
  payload?: unknown;
}

/** A client that queues frames from the first one on. */
async function connect(url: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const frames: Frame[] = [];
  const waiting: (() => void)[] = [];
  const closed = Promise.withResolvers<number>();
  socket.on('close', (code) => closed.resolve(code));
  socket.on('message', (data) => {
    frames.push(JSON.parse(String(data)));
    for (const wake of waiting.splice(0)) wake();
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  cleanUps.push(() => socket.terminate());
  const client = {
    socket,
    frames,
    closed: closed.promise,
    send: (frame: Frame) => socket.send(JSON.stringify(frame)),
    async frame(isWanted: (frame: Frame) => boolean): Promise<Frame> {
      const deadline = Date.now() + 5_000;
      for (;;) {
        const index = frames.findIndex(isWanted);
        if (index >= 0) return frames.splice(index, 1)[0] as Frame;
        if (Date.now() > deadline) throw new Error(`no such frame, only ${JSON.stringify(frames)}`);
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          setTimeout(resolve, 100);
        });
      }
    },
    next: (id: string) => client.frame((frame) => frame.id === id && frame.type === 'next'),
  };
  client.send({ type: 'connection_init' });
  await client.frame((frame) => frame.type === 'connection_ack');
  return client;
}

const TICKS = 'subscription Ticks($kind: String) { ticks(kind: $kind) { n who context checked } }';

function subscribeTo(
  query: string,
  viewer: Viewer | null,
  options: { variables?: Record<string, unknown>; after?: unknown; audience?: string; now?: number } = {},
) {
  const claims = { viewer, requestId: 'req-1', audience: options.audience ?? 'ticks' };
  const context = signContext(ring, claims, bytesOfSubscription(query, options.variables), options.now);
  return { query, variables: options.variables, extensions: { context, after: options.after } };
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error('the condition never became true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function startTick(
  client: Awaited<ReturnType<typeof connect>>,
  sources: Source[],
  id: string,
  viewer = ada,
) {
  const index = sources.length;
  client.send({ type: 'subscribe', id, payload: subscribeTo(TICKS, viewer) });
  await until(() => sources.length > index);
  return sources[index] as Source;
}

describe('a subscription', () => {
  it('maps each event under a fresh context of its viewer and carries its position', async () => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    const one = await startTick(client, sources, '1', ada);
    const two = await startTick(client, sources, '2', grace);
    one.push({ n: 1, position: 41 });
    one.push({ n: 2, position: 42 });
    two.push({ n: 3 });
    const contexts = new Set<unknown>();
    for (const [id, n, who, position] of [
      ['1', 1, 'ada', 41],
      ['1', 2, 'ada', 42],
      ['2', 3, 'grace', undefined],
    ] as const) {
      const { payload } = (await client.next(id)) as { payload: { data: { ticks: { context: number } } } };
      expect(payload).toMatchObject({ data: { ticks: { n, who } } });
      expect((payload as { extensions?: { position: number } }).extensions?.position).toBe(position);
      contexts.add(payload.data.ticks.context);
    }
    expect(contexts.size).toBe(3);
  });

  it('is told the position after which the router resumes', async () => {
    const { service, sources, resumed } = await startTicks();
    const client = await connect(service.url);
    client.send({ type: 'subscribe', id: '1', payload: subscribeTo(TICKS, ada, { after: 7 }) });
    await until(() => sources.length === 1);
    expect(resumed).toEqual([7]);
    client.send({ type: 'subscribe', id: '2', payload: subscribeTo(TICKS, ada, { after: 'x' }) });
    const refused = await client.frame((frame) => frame.id === '2');
    expect(refused).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });

  it('leaves its source at once when the client completes, though no event is due', async () => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    const [one, two] = [await startTick(client, sources, '1'), await startTick(client, sources, '2')];
    client.send({ type: 'complete', id: '1' });
    await until(() => one.isReturned);
    expect(two.isReturned).toBe(false);
    two.push({ n: 5 });
    expect(await client.next('2')).toMatchObject({ payload: { data: { ticks: { n: 5 } } } });
  });

  it('leaves its source when the socket goes away', async () => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    const source = await startTick(client, sources, '1');
    client.socket.terminate();
    await until(() => source.isReturned);
  });

  it('survives a resolver that fails, and tells nothing of the bug', async () => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    const source = await startTick(client, sources, '1');
    source.push({ n: 13 });
    source.push({ n: 14 });
    const failed = await client.next('1');
    expect(failed).toMatchObject({
      payload: {
        data: { ticks: { n: 13, checked: null } },
        errors: [
          { path: ['ticks', 'checked'], extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: 'req-1' } },
        ],
      },
    });
    expect(JSON.stringify(failed)).not.toContain('10.0.0.1');
    expect(await client.next('1')).toMatchObject({ payload: { data: { ticks: { n: 14, checked: 14 } } } });
  });

  it('ends alone when its source fails', async () => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    const [one, two] = [await startTick(client, sources, '1'), await startTick(client, sources, '2')];
    one.push(new Error('outbox at 10.0.0.1'));
    const ended = await client.frame((frame) => frame.id === '1');
    expect(ended).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
    });
    expect(JSON.stringify(ended)).not.toContain('10.0.0.1');
    two.push({ n: 5 });
    expect(await client.next('2')).toMatchObject({ payload: { data: { ticks: { n: 5 } } } });
  });
});

describe('a refused subscription', () => {
  const good = subscribeTo(TICKS, ada);
  // The first character of the signature: the last ones have bits that do not count, and are sometimes these already.
  const forged = good.extensions.context.replace(
    /\.(.)([^.]*)$/,
    (_, first, rest) => `.${first === 'A' ? 'B' : 'A'}${rest}`,
  );
  it.each([
    ['without a context', { query: TICKS }, 'UNAUTHENTICATED'],
    ['with a forged context', { query: TICKS, extensions: { context: forged } }, 'UNAUTHENTICATED'],
    [
      'with something else for a context',
      { query: TICKS, extensions: { context: { a: 1 } } },
      'UNAUTHENTICATED',
    ],
    ['with an expired context', subscribeTo(TICKS, ada, { now: Date.now() - 120_000 }), 'UNAUTHENTICATED'],
    ["with another subgraph's context", subscribeTo(TICKS, ada, { audience: 'task' }), 'UNAUTHENTICATED'],
    ['with a context for other variables', { ...good, variables: { kind: 'x' } }, 'UNAUTHENTICATED'],
    ['for an anonymous caller', subscribeTo(TICKS, null), 'UNAUTHENTICATED'],
    ['that does not parse', subscribeTo('subscription {', ada), 'GRAPHQL_PARSE_FAILED'],
    ['that is not valid', subscribeTo('subscription { nothing }', ada), 'GRAPHQL_VALIDATION_FAILED'],
    ['that is a query', subscribeTo('{ a }', ada), 'BAD_REQUEST'],
    ['to a thing that is not there', subscribeTo(TICKS, ada, { variables: { kind: 'absent' } }), 'NOT_FOUND'],
    ['that meets a bug', subscribeTo(TICKS, ada, { variables: { kind: 'bug' } }), 'INTERNAL_SERVER_ERROR'],
  ])('%s is told so, and the other viewer on the socket lives on', async (_name, payload, code) => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    const source = await startTick(client, sources, 'other', grace);
    client.send({ type: 'subscribe', id: 'refused', payload });
    const frame = await client.frame(({ id }) => id === 'refused');
    expect(frame).toMatchObject({ type: 'error', payload: [{ extensions: { code } }] });
    expect(JSON.stringify(frame)).not.toContain('10.0.0.1');
    expect(sources).toHaveLength(1);
    source.push({ n: 1 });
    expect(await client.next('other')).toMatchObject({ payload: { data: { ticks: { who: 'grace' } } } });
  });

  it('may be one that is open to anonymous callers', async () => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    client.send({ type: 'subscribe', id: '1', payload: subscribeTo('subscription { open { who } }', null) });
    await until(() => sources.length === 1);
    sources[0]?.push({ n: 1 });
    expect(await client.next('1')).toMatchObject({ payload: { data: { open: { who: 'nobody' } } } });
  });
});

describe('stopping', () => {
  it('closes open sockets as going away and lets go of every source', async () => {
    const { service, sources } = await startTicks();
    const client = await connect(service.url);
    const source = await startTick(client, sources, '1');
    await service.stop();
    expect(await client.closed).toBe(1001);
    expect(source.isReturned).toBe(true);
  });
});
