import { expect, test } from 'vitest';
import { jsonTypeOf, streamOf, takesJson, takesParts } from './accept.ts';

test('a stream is taken by its name, the preferred one by q and then by order, and never by a wildcard', () => {
  const expected: [string | undefined, string | null][] = [
    ['multipart/mixed;subscriptionSpec="1.0", application/json', 'multipart'],
    ['multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9', 'multipart'],
    ['text/event-stream', 'sse'],
    ['text/event-stream, multipart/mixed', 'sse'],
    ['text/event-stream;q=0.5, Multipart/Mixed', 'multipart'],
    ['text/event-stream;q=0, application/json', null],
    ['multipart/mixed;deferSpec=20220824, application/json', null],
    ['multipart/mixed;subscriptionSpec=2.0', null],
    ['*/*', null],
    ['text/*, multipart/*', null],
    ['application/json', null],
    ['', null],
    [undefined, null],
  ];
  for (const [accept, kind] of expected) expect(streamOf(accept), accept).toBe(kind);
});

test('an answer comes in parts only to whom names the draft of them', () => {
  expect(takesParts('multipart/mixed;deferSpec=20220824,application/json')).toBe(true);
  expect(takesParts('application/json, multipart/mixed; boundary="-"; deferSpec="20220824"')).toBe(true);
  for (const accept of ['multipart/mixed', 'multipart/mixed;deferSpec=20220824;q=0', '*/*', undefined])
    expect(takesParts(accept), accept).toBe(false);
});

test('one JSON document is taken by name, by a wildcard, and by whoever says nothing', () => {
  for (const accept of [undefined, '', '*/*', 'application/*', 'text/html, application/json;q=0.1'])
    expect(takesJson(accept), accept).toBe(true);
  for (const accept of ['text/event-stream', 'multipart/mixed', 'application/json;q=0'])
    expect(takesJson(accept), accept).toBe(false);
});

test.each([
  [undefined, 'application/json'],
  ['*/*', 'application/json'],
  ['application/graphql-response+json', 'application/graphql-response+json'],
  ['application/graphql-response+json, application/json', 'application/graphql-response+json'],
  ['application/json, application/graphql-response+json', 'application/json'],
  ['application/json;q=0.5, application/graphql-response+json', 'application/graphql-response+json'],
  ['application/graphql-response+json;q=0.5, */*', 'application/json'],
  ['*/*;q=0.1, application/graphql-response+json', 'application/graphql-response+json'],
])('to Accept %s one JSON document is %s, as Apollo Server says', (accept, type) => {
  expect(jsonTypeOf(accept)).toBe(type);
});
