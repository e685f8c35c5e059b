import { describe, expect, it } from 'vitest';
import { Cancellation } from './cancellation.ts';

describe('a cancellation', () => {
  it('is told once to each listener, and at once to one that comes late', () => {
    const told: string[] = [];
    const cancellation = new Cancellation();
    const gone = () => told.push('gone');
    cancellation.onCancel(() => told.push('first'));
    cancellation.onCancel(gone);
    cancellation.offCancel(gone);
    cancellation.cancel();
    cancellation.cancel();
    cancellation.onCancel(() => told.push('late'));
    expect(told).toEqual(['first', 'late']);
  });

  it('waits for the last of those who hold it', () => {
    const cancellation = new Cancellation();
    cancellation.hold();
    cancellation.hold();
    cancellation.cancel();
    cancellation.release();
    expect(cancellation.isCancelled).toBe(false);
    cancellation.release();
    expect(cancellation.isCancelled).toBe(true);
  });

  it('does not happen while its owner waits, whoever has released it', () => {
    const cancellation = new Cancellation();
    cancellation.hold();
    cancellation.release();
    expect(cancellation.isCancelled).toBe(false);
  });
});
