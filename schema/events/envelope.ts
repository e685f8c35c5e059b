import { z } from 'zod';

/**
 * The envelope: what every fact says, whatever has happened.
 *
 * A model is strict about the fields it knows and drops those it does not know, so that a producer may add a field
 * while older consumers run, and no consumer comes to depend on what this list does not promise. Changing or removing a
 * field is a new `schemaVersion`: produce both until no consumer reads the old one.
 */

export const sources = ['user', 'org', 'task', 'notification'] as const;
export type Source = (typeof sources)[number];

/** Ids are compared, never taken apart: any UUID will do, though ours are UUIDv7. */
export const id = z.guid();

/** RFC 3339 in UTC with milliseconds, as Date.toISOString writes it. */
export const instant = z.iso.datetime();

/**
 * A value of an enum of the schema. Values that this release does not know are let through, so that a newer producer
 * does not stop an older consumer: compare with what you know, and store the rest as it is.
 */
export function oneOf<const T extends string>(..._known: T[]): z.ZodType<T | (string & {})> {
  return z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/);
}

export const actor = z.object({
  /** The person who acted; null when the system did. */
  userId: id.nullable(),
});

/** The fields that are alike in all facts. `before` and `after` belong to the type. */
export const envelopeFields = {
  /** UUIDv7, made once; a fact that is delivered twice has the same one. */
  id,
  orgId: id,
  actor,
  /** The request that caused it, also through other facts: for reading logs. */
  requestId: z.string().min(1).max(200),
  /** W3C trace context of that request. */
  traceparent: z.string().max(200).nullable(),
  occurredAt: instant,
};

export interface Envelope {
  id: string;
  orgId: string;
  actor: { userId: string | null };
  requestId: string;
  traceparent: string | null;
  occurredAt: string;
}
