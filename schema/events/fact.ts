import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { actor, type Envelope, envelopeFields, id, type Source } from './envelope.ts';
import { type FactType, facts } from './list.ts';

type Listed<T extends FactType> = (typeof facts)[T];

/** A fact of one type, with its images. */
export interface FactOf<T extends FactType> extends Envelope {
  type: T;
  source: Listed<T>['source'];
  schemaVersion: Listed<T>['schemaVersion'];
  aggregate: { type: Listed<T>['aggregate']; id: string; version: number };
  before: z.infer<Listed<T>['before']>;
  after: z.infer<Listed<T>['after']>;
}

/** Any fact of the list; `switch (fact.type)` narrows it. */
export type AnyFact = { [T in FactType]: FactOf<T> }[FactType];

/** The types of fact that a subgraph consumes. */
export type ConsumedBy<S extends Source> = {
  [T in FactType]: S extends Listed<T>['consumers'][number] ? T : never;
}[FactType];

/** Thrown for what is no fact of the list. Trying again does not help: it belongs into the dead letters. */
export class FactError extends Error {
  override readonly name = 'FactError';
}

export function isFactType(type: unknown): type is FactType {
  return typeof type === 'string' && Object.hasOwn(facts, type);
}

/** The fact that `value` (parsed JSON) says, checked; fields that its model does not know are dropped. Throws FactError. */
export function parseFact(value: unknown): AnyFact {
  const type = (value as { type?: unknown } | null)?.type;
  if (!isFactType(type)) throw new FactError(`"${String(type)}" is no type of fact that this release knows`);
  const result = models.get(type)?.safeParse(value);
  if (!result?.success)
    throw new FactError(`not a valid ${type}: ${result ? z.prettifyError(result.error) : ''}`);
  // The model was built from the same entry of the list as the type.
  return result.data as AnyFact;
}

export interface NewFact<T extends FactType> {
  type: T;
  orgId: string;
  /** The version that the change gave to the thing. */
  aggregate: { id: string; version: number };
  /** Who acted: a viewer, or `{ userId: null }` for the system. */
  actor: { readonly userId: string | null };
  requestId: string;
  traceparent?: string | null | undefined;
  before: FactOf<T>['before'];
  after: FactOf<T>['after'];
}

/**
 * A new fact of a type of the list: gets its id (UUIDv7) and the time of now. Append it to the outbox in the transaction
 * of the change, after the row lock. Throws FactError when an image is not what the list promises, which is a bug.
 */
export function makeFact<T extends FactType>(change: NewFact<T>): FactOf<T> {
  const { source, aggregate, schemaVersion } = facts[change.type];
  return parseFact({
    id: uuidv7(),
    source,
    type: change.type,
    schemaVersion,
    orgId: change.orgId,
    aggregate: { type: aggregate, id: change.aggregate.id, version: change.aggregate.version },
    actor: { userId: change.actor.userId },
    requestId: change.requestId,
    traceparent: change.traceparent ?? null,
    occurredAt: new Date().toISOString(),
    before: change.before,
    after: change.after,
  }) as FactOf<T>;
}

const models = new Map<FactType, z.ZodType>(
  Object.entries(facts).map(([type, listed]) => [type as FactType, modelOf(type as FactType, listed)]),
);

function modelOf(type: FactType, { source, aggregate, schemaVersion, before, after }: Listed<FactType>) {
  return z.object({
    ...envelopeFields,
    type: z.literal(type),
    source: z.literal(source),
    schemaVersion: z.literal(schemaVersion),
    aggregate: z.object({ type: z.literal(aggregate), id, version: z.int().nonnegative() }),
    actor,
    before,
    after,
  });
}
