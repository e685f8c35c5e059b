import { describe, expect, it } from 'vitest';
import { childOf, newToken, parseToken, sha256 } from './secret-tokens.ts';

const org = '01900000-0000-7000-8000-0000000000ab';
const family = { sessionId: '01900000-0000-7000-8000-000000000002', generation: 1 };

describe('a secret token', () => {
  it('comes back from its text with tenant and hash, as its own kind only', () => {
    const token = newToken('inv', org);
    expect(parseToken('inv', token.text)).toEqual(token);
    expect(token).toMatchObject({ orgId: org, hash: sha256(token.text) });
    expect(parseToken('rt', token.text)).toBeNull();
  });

  it.each(['', 'inv', `inv_${org}`, `inv_${org}_short`, `inv_${org.toUpperCase()}_${'A'.repeat(43)}`])(
    'is not %j',
    (text) => expect(parseToken('inv', text)).toBeNull(),
  );
});

describe('the child of a refresh token', () => {
  const parent = newToken('rt', org);
  const child = childOf(parent, family, 'key');

  it('is always the same one, of the same tenant', () => {
    expect(childOf(parent, family, 'key')).toEqual(child);
    expect(parseToken('rt', child.text)).toEqual(child);
  });

  it('is another one for another parent, family, generation or key', () => {
    const others = [
      childOf(newToken('rt', org), family, 'key'),
      childOf(parent, { ...family, sessionId: org }, 'key'),
      childOf(parent, { ...family, generation: 2 }, 'key'),
      childOf(parent, family, 'other'),
    ];
    expect(new Set([child, ...others].map(({ text }) => text)).size).toBe(5);
  });
});
