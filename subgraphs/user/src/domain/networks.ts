import { isIPv4, isIPv6 } from 'node:net';

/** The CHECK of the tables says the same. */
const ADDRESS_LENGTH_MAX = 64;

/**
 * Whom an address stands for when attempts are counted: of IPv6 the /64, which is what one customer is given, and
 * 18 quintillion addresses. An IPv4 address within IPv6 is itself. Whatever else comes is a text of its own.
 */
export function networkOf(address: string | null): string {
  if (address === null) return 'unknown';
  const [text = ''] = address.split('%');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  if (mapped && isIPv4(mapped)) return mapped;
  if (!isIPv6(text)) return address.slice(0, ADDRESS_LENGTH_MAX);
  const [head = '', tail] = text.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail ? tail.split(':') : [];
  // An IPv4 tail takes the place of two groups; it never reaches the first four unless nothing was left out.
  const known = groups.length + after.length + (text.includes('.') ? 1 : 0);
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - known)).fill('0');
  const network = [...groups, ...zeros, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16));
  return `${network.map((group) => group.toString(16)).join(':')}::/64`;
}
