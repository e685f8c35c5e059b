// Whose buckets an operation is paid from.
//
//   signed in    the member's, and the organisation's
//   API key      the key's, and the organisation's
//   nobody       that of the network the call came from
//
// Nobody pays from a bucket of others: an office that shares an address may sign in and work however much somebody there
// tries, since those who are signed in never touch the bucket of their address; and one member has a tenth of what the
// organisation has. A stranger has no way to another organisation's buckets, whose keys start with its id.

import { isIPv6 } from 'node:net';
import type { Keys } from '@taskflow/kit/keys';
import type { Exchange } from '../exchange.ts';
import type { Bucket, BucketLimit } from './buckets.ts';

/** Null: no limit. */
export interface PointLimits {
  viewer: BucketLimit | null;
  organization: BucketLimit | null;
  key: BucketLimit | null;
  address: BucketLimit | null;
}

/** The caller's own bucket first. */
export function bucketsOf(
  { viewer, token, clientAddress }: Pick<Exchange, 'viewer' | 'token' | 'clientAddress'>,
  limits: PointLimits,
  keys: Keys,
): Bucket[] {
  const bucket = (name: keyof PointLimits, key: string): Bucket[] => {
    const limit = limits[name];
    return limit ? [{ name, key, limit }] : [];
  };
  if (!viewer) return bucket('address', keys.pointsOfNetwork(networkOf(clientAddress)));
  const { orgId, userId, sessionId } = viewer;
  const own = token?.apiKey
    ? bucket('key', keys.pointsOfTenant(orgId, `key:${sessionId}`))
    : bucket('viewer', keys.pointsOfTenant(orgId, `user:${userId}`));
  return [...own, ...bucket('organization', keys.pointsOfTenant(orgId))];
}

/** An IPv4 address; of an IPv6 address the first 64 bits, which is what one customer of a provider has. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped || !isIPv6(address)) return mapped ?? address;
  const [head = '', tail = ''] = address.split('%', 1).join('').toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::') ? Array<string>(8 - before.length - after.length).fill('0') : [];
  const groups = [...before, ...zeros, ...after].map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.slice(0, 4).join(':')}::/64`;
}
