import { expect, it } from 'vitest';
import { controlOf, standingOf, textOfControl, textOfStanding } from './control.ts';

it('a standing is read as it was written', () => {
  for (const standing of [
    { number: 7, isSuspended: false },
    { number: 8, isSuspended: true },
  ]) {
    expect(standingOf(textOfStanding(standing))).toEqual(standing);
  }
});

it.each([null, undefined, 7, '', '7', 'SUSPENDED', '7 suspended', '-1 ACTIVE', '1e3 ACTIVE', '7 ACTIVE '])(
  '%j is no standing',
  (text) => expect(standingOf(text)).toBeNull(),
);

it('a message is read as it was written, parsed by the transport or not', () => {
  const ended = { user: 'grace', sid: 'phone', standing: null };
  const suspended = { user: '*', sid: null, standing: { number: 3, isSuspended: true } };
  for (const message of [ended, suspended]) {
    expect(controlOf(textOfControl(message))).toEqual(message);
    expect(controlOf(JSON.parse(textOfControl(message)))).toEqual(message);
  }
});

it.each([null, 7, '{', '[]', {}, { user: 7 }])('%j is no message', (message) =>
  expect(controlOf(message)).toBeNull(),
);
