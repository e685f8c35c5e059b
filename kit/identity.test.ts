import { describe, expect, it } from 'vitest';
import { parseKeyRing } from './config.ts';
import {
  bytesOfSubscription,
  ContextError,
  signContext,
  signEstablished,
  type Viewer,
  verifyContext,
  verifyEstablished,
} from './identity.ts';

const oldRing = parseKeyRing(`old:${'o'.repeat(32)}`);
const newRing = parseKeyRing(`new:${'n'.repeat(32)},old:${'o'.repeat(32)}`);
const otherRing = parseKeyRing(`old:${'x'.repeat(32)}`);
const viewer: Viewer = { orgId: 'org-a', userId: 'ada', role: 'ORG_ADMIN', sessionId: 's1' };
const claims = { viewer, requestId: 'r1', audience: 'task' };
const body = Buffer.from('{"query":"{ a }"}');

function problemOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ContextError) return error.problem;
    throw error;
  }
  return 'none';
}

describe('a signed context', () => {
  it('carries the claims to its audience', () => {
    const header = signContext(oldRing, { ...claims, locale: 'de' }, body);
    expect(verifyContext(oldRing, 'task', header, body)).toMatchObject({ ...claims, locale: 'de' });
  });

  it('stays valid while keys rotate, in both orders of deployment', () => {
    expect(verifyContext(newRing, 'task', signContext(oldRing, claims, body), body).requestId).toBe('r1');
    const signedByNew = signContext(newRing, claims, body);
    expect(problemOf(() => verifyContext(oldRing, 'task', signedByNew, body))).toBe('unknown-key');
  });

  it.each([
    ['missing', undefined],
    ['missing', ''],
    ['malformed', 'v1.a.b'],
    ['malformed', 'v1.a.b.c.d'],
    ['malformed', 'v2.old.e30.e30'],
    ['unknown-key', 'v1.who.e30.e30'],
    ['bad-signature', 'v1.old.e30.e30'],
  ])('is refused as %s when it is %j', (problem, header) => {
    expect(problemOf(() => verifyContext(oldRing, 'task', header, body))).toBe(problem);
  });

  it('is refused when a single character of it changed', () => {
    const header = signContext(oldRing, claims, body);
    for (let index = 0; index < header.length - 1; index++) {
      const changed = header[index] === 'A' ? 'B' : 'A';
      const forged = header.slice(0, index) + changed + header.slice(index + 1);
      expect(problemOf(() => verifyContext(oldRing, 'task', forged, body))).not.toBe('none');
    }
  });

  it('is refused from another key, for another subgraph, over other bytes', () => {
    const header = signContext(oldRing, claims, body);
    expect(problemOf(() => verifyContext(otherRing, 'task', header, body))).toBe('bad-signature');
    expect(problemOf(() => verifyContext(oldRing, 'org', header, body))).toBe('wrong-audience');
    expect(problemOf(() => verifyContext(oldRing, 'task', header, `${body} `))).toBe('other-bytes');
  });

  it('lives for at most 60 seconds, and none is accepted that would live longer', () => {
    const now = Date.now();
    const header = signContext(oldRing, claims, body, now);
    expect(problemOf(() => verifyContext(oldRing, 'task', header, body, now + 60_000))).toBe('expired');
    expect(problemOf(() => verifyContext(oldRing, 'task', header, body, now - 60_000))).toBe('expired');
  });
});

describe('an established header', () => {
  it('tells the router who was established', () => {
    expect(verifyEstablished(newRing, signEstablished(newRing, { viewer }))).toEqual({ viewer });
  });

  it('and a context cannot pass for each other', () => {
    const context = signContext(oldRing, { ...claims, audience: 'router' }, body);
    const established = signEstablished(oldRing, { viewer });
    expect(problemOf(() => verifyEstablished(oldRing, context))).toBe('bad-signature');
    expect(problemOf(() => verifyContext(oldRing, 'router', established, body))).toBe('bad-signature');
  });

  it('expires within a minute', () => {
    const now = Date.now();
    const text = signEstablished(oldRing, { viewer }, now);
    expect(problemOf(() => verifyEstablished(oldRing, text, now + 60_000))).toBe('expired');
  });
});

describe('the bytes of a subscription', () => {
  it('are the same after a round trip through JSON', () => {
    const variables = { b: 1, a: [null, { '1': 'x', __proto__x: true }], gone: undefined };
    const received = JSON.parse(JSON.stringify(variables));
    expect(bytesOfSubscription('subscription { a }', variables)).toBe(
      bytesOfSubscription('subscription { a }', received),
    );
  });

  it('take absent, null and empty variables for the same', () => {
    const bytes = bytesOfSubscription('q', {});
    expect([bytesOfSubscription('q'), bytesOfSubscription('q', null)]).toEqual([bytes, bytes]);
  });

  it('cannot be moved between query and variables', () => {
    expect(bytesOfSubscription('q', { a: 1 })).not.toBe(bytesOfSubscription('q{"a":1}', {}));
  });
});
