import { expect, test } from 'vitest';
import { createSocketAdmission } from './admission.ts';

test('as many sockets are let in a second as said; the others are told to come later, not all at once', () => {
  let now = 0;
  let draw = 0;
  const admission = createSocketAdmission(3, { now: () => now, random: () => draw });
  const answers = () => Array.from({ length: 5 }, () => admission.refuse());
  expect(answers()).toEqual([null, null, null, 1, 1]);
  draw = 0.99;
  expect(admission.refuse()).toBe(10);
  now = 400;
  expect(answers().filter((answer) => answer === null)).toHaveLength(1);
  now = 60_000;
  expect(answers().filter((answer) => answer === null)).toHaveLength(3);
});
