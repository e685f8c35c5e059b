/**
 * The scalars of the schema's conventions, as resolvers. DateTime values are Dates in code; DateTimeOrDuration stays
 * symbolic, because "now" belongs to the list that is read, not to the moment at which its argument was parsed.
 */
import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from 'graphql';
import { GraphQLDateTimeISO, GraphQLEmailAddress } from 'graphql-scalars';
import { DomainError } from './errors.ts';

/** An instant, or a distance from "now" that is told at use. */
export type Moment = { readonly at: Date } | { readonly fromNow: Duration };

export interface Duration {
  readonly sign: 1 | -1;
  readonly months: number;
  readonly ms: number;
}

const DURATION =
  /^(-?)P(?=\d|T\d)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$/;
const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

/** The instant that a moment means when it is `now`. Months follow the calendar in UTC. */
export function instantOf(moment: Moment, now: Date): Date {
  if ('at' in moment) return moment.at;
  const { sign, months, ms } = moment.fromNow;
  const instant = new Date(now);
  if (months !== 0) {
    const day = instant.getUTCDate();
    instant.setUTCDate(1);
    instant.setUTCMonth(instant.getUTCMonth() + sign * months);
    instant.setUTCDate(Math.min(day, daysInMonth(instant)));
  }
  return new Date(instant.getTime() + sign * ms);
}

function daysInMonth(instant: Date): number {
  return new Date(Date.UTC(instant.getUTCFullYear(), instant.getUTCMonth() + 1, 0)).getUTCDate();
}

function parseDuration(text: string): Duration | null {
  const match = DURATION.exec(text);
  if (!match) return null;
  const [years = 0, months = 0, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = match
    .slice(2)
    .map((part) => Number(part ?? 0));
  return {
    sign: match[1] === '-' ? -1 : 1,
    months: years * 12 + months,
    ms: (weeks * 7 + days) * DAY_MS + (hours * 3_600 + minutes * 60 + seconds) * SECOND_MS,
  };
}

function parseMoment(value: unknown): Moment {
  const duration = typeof value === 'string' ? parseDuration(value) : null;
  if (duration) return { fromNow: duration };
  try {
    return { at: GraphQLDateTimeISO.parseValue(value) };
  } catch {
    throw new GraphQLError('expected an RFC 3339 instant or an ISO 8601 duration such as -P1D');
  }
}

/**
 * The value of a literal in the document. The router knows these scalars by name only and lets every literal pass, so
 * that a wrong one is found here, and has to say so as the value of a variable would: not as an invalid document.
 */
function literalOf<T>(expected: string, parse: (value: unknown) => T): (node: ValueNode) => T {
  return (node) => {
    try {
      return parse(node.kind === Kind.STRING ? node.value : undefined);
    } catch {
      throw new DomainError('BAD_USER_INPUT', `A value in the document is not what it must be: ${expected}.`);
    }
  };
}

const DateTime = new GraphQLScalarType({
  ...GraphQLDateTimeISO.toConfig(),
  name: 'DateTime',
  parseLiteral: literalOf('an RFC 3339 instant such as 2026-11-21T08:30:00Z', GraphQLDateTimeISO.parseValue),
});

const DateTimeOrDuration = new GraphQLScalarType<Moment, string>({
  name: 'DateTimeOrDuration',
  parseValue: parseMoment,
  parseLiteral: literalOf('an RFC 3339 instant or an ISO 8601 duration such as -P1D', parseMoment),
});

const EmailAddress = new GraphQLScalarType<string, string>({
  name: 'EmailAddress',
  serialize: String,
  parseValue: (value) => lowerCased(GraphQLEmailAddress.parseValue(trimmed(value))),
  parseLiteral: literalOf('an e-mail address', (value) =>
    lowerCased(GraphQLEmailAddress.parseValue(trimmed(value))),
  ),
});

const trimmed = (value: unknown) => (typeof value === 'string' ? value.trim() : value);
const lowerCased = (value: unknown) => String(value).toLowerCase();

/** Merge into a subgraph's resolver map. */
export const scalars = {
  DateTime,
  DateTimeOrDuration,
  EmailAddress,
};
