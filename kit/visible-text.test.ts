import { describe, expect, it } from 'vitest';
import { isInvisible } from './visible-text.ts';

describe('a text that nobody can see', () => {
  it.each([
    ...['', ' \t\n', '\u00a0\u3000', '\u200b', '\u200d\u200c', '\ufeff', '\u2060', '\u00ad'],
    ...['\u202e\u202c', '\u115f\u3164\uffa0', '\u2800', '\ufe0f', '\u{e0061}', ' \u200b \u180e '],
  ])('is %j', (text) => expect(isInvisible(text)).toBe(true));

  it.each(['a', '.', 'A\u200b', '\u200dZ', '👩‍👩‍👧', 'ʻOkina', '名前', '\u0301'])('is not %j', (text) =>
    expect(isInvisible(text)).toBe(false),
  );
});
