import { expect, test } from 'vitest';
import { waitFor, waitForOwnOrganisation } from './projection.ts';

const foundAfter = (looks: number) => {
  let looked = 0;
  return async () => (++looked > looks ? 'here' : null);
};
const never = async () => null;

test('what is there is found at the first look', async () => {
  expect(await waitFor(foundAfter(0), 0)).toBe('here');
});

test('what arrives in time is found', async () => {
  expect(await waitFor(foundAfter(3), 500)).toBe('here');
});

test('what does not arrive is null after the deadline, and soon after', async () => {
  const start = performance.now();
  expect(await waitFor(never, 80)).toBeNull();
  const tookMs = performance.now() - start;
  expect(tookMs).toBeGreaterThanOrEqual(79);
  expect(tookMs).toBeLessThan(400);
});

test('a value that is false or empty has arrived', async () => {
  expect(await waitFor(async () => '', 0)).toBe('');
  expect(await waitFor(async () => false, 0)).toBe(false);
});

test('a lookup that fails is not waited for', async () => {
  const broken = async () => {
    throw new Error('database away');
  };
  await expect(waitFor(broken, 500)).rejects.toThrow('database away');
});

test('an own organisation that does not arrive is an outage worth a retry', async () => {
  expect(await waitForOwnOrganisation(foundAfter(2))).toBe('here');
  await expect(waitForOwnOrganisation(never, 20)).rejects.toMatchObject({
    code: 'SUBGRAPH_UNAVAILABLE',
    details: { retryable: true },
  });
});
