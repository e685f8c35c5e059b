import { expect, it } from 'vitest';
import { networkOf } from './networks.ts';

it.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['64:ff9b::203.0.113.7', '64:ff9b:0:0::/64'],
  ['a.proxy', 'a.proxy'],
  ['x'.repeat(100), 'x'.repeat(64)],
  [null, 'unknown'],
])('%s is counted as %s', (address, network) => expect(networkOf(address)).toBe(network));

it('all addresses of one customer count as one', () => {
  const some = ['2001:db8:0:7::1', '2001:db8:0:7:ffff::', '2001:db8::7:0:0:0:9'];
  expect(new Set(some.map(networkOf)).size).toBe(1);
});
