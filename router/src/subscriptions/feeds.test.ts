import type { FetchNode } from '@apollo/query-planner';
import { expect, test, vi } from 'vitest';
import { type FeedEnd, openFeed } from './feeds.ts';
import type { SubscribePayload, Upstream, UpstreamListener } from './upstream.ts';

const primary = {
  operation: 'subscription($a: ID) { e(a: $a) }',
  variableUsages: ['a'],
} as unknown as FetchNode;

/** A feed over an upstream that the test speaks for. */
function aFeed(variables: Record<string, unknown> = {}) {
  const starts: (() => SubscribePayload)[] = [];
  const listeners: UpstreamListener[] = [];
  let left = 0;
  const upstream: Upstream = {
    subscribe(start, listener) {
      starts.push(start);
      listeners.push(listener);
      return () => left++;
    },
    status: () => ({ state: 'open', subscriptions: 0 }),
    stop() {},
  };
  const heard: unknown[] = [];
  const ends: FeedEnd[] = [];
  const feed = openFeed(
    {
      ...{ upstream, primary, variables, render: async () => '', use() {} },
      sign: (query, used) => `${query}|${JSON.stringify(used)}`,
    },
    {
      event: ({ result, cursor }) => heard.push(cursor ?? result.extensions?.position),
      ended: (end) => ends.push(end),
    },
  );
  return {
    feed,
    heard,
    ends,
    left: () => left,
    payload: () => starts.at(-1)?.(),
    listener: () => listeners.at(-1) as UpstreamListener,
    says(position: number | undefined, typename = 'TaskChange', cursor?: string) {
      const extensions = { ...(position === undefined ? {} : { position }), ...(cursor ? { cursor } : {}) };
      listeners.at(-1)?.next({ data: { e: { __typename: typename } }, extensions }, 10);
    },
  };
}

test('an event at or before the last position is dropped, wherever it comes from', () => {
  const { heard, says } = aFeed();
  for (const position of [3, 4, 4, 2, 5]) says(position);
  expect(heard).toEqual([3, 4, 5]);
});

test('a heartbeat may repeat the last position, and ResyncRequired may go back', () => {
  const { heard, says, payload } = aFeed();
  says(3);
  says(3, 'StreamHeartbeat');
  says(2, 'StreamHeartbeat');
  says(1, 'ResyncRequired');
  says(2);
  expect(heard).toEqual([3, 3, 1, 2]);
  expect(payload()?.extensions.after).toBe(2);
});

test('an event without a position passes, and cannot be gone on from', () => {
  const { heard, says, feed, payload } = aFeed();
  says(undefined, 'TaskChange', 'x');
  expect(heard).toEqual(['x']);
  expect(feed.pause()).toBe(false);
  expect(payload()?.extensions).not.toHaveProperty('after');
});

test('each start is signed anew over the variables that the fetch uses, and no others', () => {
  const { payload, says } = aFeed({ a: '1', secret: 'x', b: undefined });
  expect(payload()?.variables).toEqual({ a: '1' });
  says(7);
  expect(payload()?.extensions).toEqual({ context: `${primary.operation}|{"a":"1"}`, after: 7 });
});

test('a paused feed has left the subgraph, and resumes once, from its last position', () => {
  const { feed, says, left, payload, heard } = aFeed();
  says(7);
  expect(feed.pause()).toBe(true);
  expect(left()).toBe(1);
  feed.resume();
  feed.resume();
  expect(payload()?.extensions.after).toBe(7);
  says(7);
  says(8);
  expect(heard).toEqual([7, 8]);
});

test('a refusal ends a feed; one that will pass is asked again, if an event was heard', () => {
  vi.useFakeTimers();
  try {
    const passing = [{ message: 'later', extensions: { retryable: true } }];
    const young = aFeed();
    young.listener().refused(passing);
    expect(young.ends).toEqual([{ kind: 'refused', errors: passing }]);

    const old = aFeed();
    old.says(3);
    old.listener().refused(passing);
    vi.advanceTimersByTime(1_000);
    expect(old.ends).toEqual([]);
    expect(old.payload()?.extensions.after).toBe(3);
    const final = [{ message: 'no', extensions: { code: 'NOT_FOUND' } }];
    old.listener().refused(final);
    expect(old.ends).toEqual([{ kind: 'refused', errors: final }]);
  } finally {
    vi.useRealTimers();
  }
});
