import { describe, expect, it } from 'vitest';
import { piecesOf } from './personal-data.ts';

describe('the pieces of a text', () => {
  it.each([
    ['nothing', ''],
    ['a little', '{"a":1}'],
    ['more than one piece', 'ä€'.repeat(100_000)],
    ['pairs on the border', `x${'😀'.repeat(100_000)}`],
    ['pairs on the border, moved by one', `${'😀'.repeat(100_000)}x`],
  ])('of %s are the text again, each whole and below 200 kB', (_what, text) => {
    const pieces = piecesOf(text);
    expect(pieces.length).toBeGreaterThan(0);
    expect(pieces.join('') === text).toBe(true);
    for (const piece of pieces) {
      expect(piece.isWellFormed()).toBe(true);
      expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(200_000);
    }
  });
});
