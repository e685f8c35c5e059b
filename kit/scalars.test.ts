import { Kind } from 'graphql';
import { describe, expect, it } from 'vitest';
import { instantOf, scalars } from './scalars.ts';

const now = new Date('2026-03-31T12:00:00.000Z');
const parse = (text: string) => scalars.DateTimeOrDuration.parseValue(text);
const meant = (text: string) => instantOf(parse(text), now).toISOString();

describe('DateTimeOrDuration', () => {
  it('takes instants with any offset, and durations either way from now', () => {
    expect(meant('2026-01-01T01:00:00+01:00')).toBe('2026-01-01T00:00:00.000Z');
    expect(meant('-P1D')).toBe('2026-03-30T12:00:00.000Z');
    expect(meant('P2W')).toBe('2026-04-14T12:00:00.000Z');
    expect(meant('PT90M')).toBe('2026-03-31T13:30:00.000Z');
    expect(meant('-P1DT1H')).toBe('2026-03-30T11:00:00.000Z');
  });

  it('counts months by the calendar: the last day stands for one that does not exist', () => {
    expect(meant('-P1M')).toBe('2026-02-28T12:00:00.000Z');
    expect(meant('P1M')).toBe('2026-04-30T12:00:00.000Z');
    expect(meant('-P1Y')).toBe('2025-03-31T12:00:00.000Z');
  });

  it('refuses everything else with a sentence that says what to write', () => {
    for (const text of ['', 'P', 'PT', 'P1', 'yesterday', '-', '2026-13-01T00:00:00Z', 'P1D2', 'P99999Y']) {
      expect(() => parse(text), text).toThrow('ISO 8601 duration');
    }
    expect(() => scalars.DateTimeOrDuration.parseValue(5)).toThrow();
  });
});

describe('EmailAddress', () => {
  it('is trimmed and in lower case, so that an address has one spelling', () => {
    expect(scalars.EmailAddress.parseValue(' Ada@Acme.TEST ')).toBe('ada@acme.test');
    expect(() => scalars.EmailAddress.parseValue('ada')).toThrow();
  });
});

describe('a literal in the document', () => {
  const scalarsByName = Object.values(scalars).map((scalar) => [scalar.name, scalar] as const);

  it.each(scalarsByName)('that is no %s is the wrong value of a valid document', (_name, scalar) => {
    for (const node of [
      { kind: Kind.STRING, value: 'tomorrow' } as const,
      { kind: Kind.INT, value: '5' } as const,
    ]) {
      expect(() => scalar.parseLiteral(node, {})).toThrow(
        expect.objectContaining({ code: 'BAD_USER_INPUT' }),
      );
    }
  });

  it('means what the same value of a variable means', () => {
    const literal = (value: string) => ({ kind: Kind.STRING, value }) as const;
    const text = '2026-01-01T01:00:00+01:00';
    expect(scalars.DateTime.parseLiteral(literal(text), {})).toEqual(scalars.DateTime.parseValue(text));
    expect(scalars.DateTimeOrDuration.parseLiteral(literal('-P1D'), {})).toEqual(parse('-P1D'));
    expect(scalars.EmailAddress.parseLiteral(literal(' Ada@Acme.TEST '), {})).toBe('ada@acme.test');
  });
});
