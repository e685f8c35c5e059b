import { createKeys } from '@taskflow/kit/keys';
import { expect, it } from 'vitest';
import { bucketsOf, networkOf, type PointLimits } from './payers.ts';

const limit = { pointsPerS: 1, capacity: 10 };
const LIMITS: PointLimits = { viewer: limit, organization: limit, key: limit, address: limit };
const keys = createKeys('p:');
const viewer = { orgId: 'o1', userId: 'u1', sessionId: 's1', role: 'MEMBER' as const };
const signedIn = { viewer, token: null, clientAddress: '192.0.2.1' };
const apiKey = { requestsPerMinute: 1 };
const token = { viewer, epoch: 1, expiresAt: 0, plan: null, apiKey, caller: null as never };
const of = (caller: Parameters<typeof bucketsOf>[0], limits = LIMITS) =>
  bucketsOf(caller, limits, keys).map(({ name, key }) => [name, key]);

it('members pay from their own bucket and that of their organisation, under its tag', () => {
  expect(of(signedIn)).toEqual([
    ['viewer', 'p:points:{o1}:user:u1'],
    ['organization', 'p:points:{o1}:all'],
  ]);
});

it('an API key has a bucket of its own, and leaves that of its maker alone', () => {
  expect(of({ ...signedIn, token })).toEqual([
    ['key', 'p:points:{o1}:key:s1'],
    ['organization', 'p:points:{o1}:all'],
  ]);
});

it('strangers pay from that of their network, and nobody else does', () => {
  const stranger = { viewer: null, token: null, clientAddress: '2001:db8::1:2' };
  expect(of(stranger)).toEqual([['address', 'p:points:network:{2001:db8:0:0::/64}']]);
});

it('a limit that is off has no bucket', () => {
  expect(of(signedIn, { ...LIMITS, viewer: null, organization: null })).toEqual([]);
});

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:0002::9', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
])('the network of %s is %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
