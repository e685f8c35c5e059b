import type { Viewer, ViewerGroup } from '@taskflow/kit/identity';
import { describe, expect, it } from 'vitest';
import { createEpochs, scopeKeyOf } from './scope.ts';

const ADA: Viewer = { orgId: 'o1', userId: 'u1', role: 'MEMBER', sessionId: 's1' };
const keyOf = (viewer: Viewer | null, plan: string | null = null) =>
  scopeKeyOf({ viewer, viewerGroup: null, plan });
const keyOfGroup = (viewerGroup: ViewerGroup) => scopeKeyOf({ viewer: null, viewerGroup, plan: null });

describe('the scope of a caller', () => {
  it('is the same for the same caller, and for all who are nobody', () => {
    expect(keyOf({ ...ADA })).toBe(keyOf({ ...ADA }));
    expect(keyOf(null)).toBe(keyOf(null));
    expect(keyOf({ ...ADA, scopes: ['READ', 'WRITE'] })).toBe(keyOf({ ...ADA, scopes: ['WRITE', 'READ'] }));
  });

  it.each<[string, Viewer]>([
    ['tenant', { ...ADA, orgId: 'o2' }],
    ['person', { ...ADA, userId: 'u2' }],
    ['role', { ...ADA, role: 'GUEST' }],
    ['session', { ...ADA, sessionId: 's2' }],
    ['scopes', { ...ADA, scopes: ['READ'] }],
    ['names that run into each other', { ...ADA, orgId: 'o1","u', userId: '1' }],
  ])('differs by %s', (_what, other) => {
    expect(keyOf(other)).not.toBe(keyOf(ADA));
  });

  it('of a group is its tenant and role, and nobody else is in it', () => {
    const groups = [
      { orgId: 'o1' },
      { orgId: 'o1', role: 'MEMBER' },
      { orgId: 'o2', role: 'MEMBER' },
    ] as const;
    expect(new Set([...groups.map(keyOfGroup), keyOf(null), keyOf(ADA)]).size).toBe(5);
  });

  it('differs by plan, and from nobody', () => {
    expect(new Set([keyOf(ADA), keyOf(ADA, 'TEAM'), keyOf(ADA, 'FREE'), keyOf(null)]).size).toBe(4);
  });
});

describe('the epoch of a tenant', () => {
  it('moves with the tenant, and leaves others where they are', () => {
    const epochs = createEpochs();
    const [mine, theirs, nobodys] = [epochs.of('mine'), epochs.of('theirs'), epochs.of('')];
    epochs.move('mine');
    expect(epochs.of('mine')).not.toBe(mine);
    expect(epochs.of('theirs')).toBe(theirs);
    expect(epochs.of('')).not.toBe(nobodys);
  });

  it('is never again what it was, however many tenants move', () => {
    const epochs = createEpochs();
    epochs.move('mine');
    const before = epochs.of('mine');
    for (let n = 0; n < 10_001; n++) epochs.move(`tenant ${n}`);
    expect(epochs.of('mine')).toBeGreaterThan(before);
  });
});
