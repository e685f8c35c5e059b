/**
 * Which fields a change has changed, and the refusal of one that was based on an older version.
 */
import { DomainError } from './errors.ts';
import type { Fact } from './outbox.ts';
import type { Sql } from './tenant-pool.ts';

/** From the columns of an image to the fields of the schema: `{ assigneeId: 'assignee' }`. A column mapped to null is no field. */
export type FieldNames = Readonly<Record<string, string | null>>;

/** The fields whose values differ between two images of one thing; all of `after` when there was none before. */
export function changedFields(before: object | null, after: object | null, names: FieldNames = {}): string[] {
  const from = (before ?? {}) as Record<string, unknown>;
  const to = (after ?? {}) as Record<string, unknown>;
  return Object.keys({ ...from, ...to })
    .filter((column) => JSON.stringify(from[column] ?? null) !== JSON.stringify(to[column] ?? null))
    .flatMap((column) => (names[column] === undefined ? column : (names[column] ?? [])));
}

export interface VersionCheck {
  readonly orgId: string;
  /** `Task`: the type of `row` in the schema. */
  readonly typename: string;
  /** As it is now, under its lock. */
  readonly row: { readonly id: string; readonly version: number };
  readonly expectedVersion: number | null | undefined;
  readonly names?: FieldNames;
  /** The kind of thing in facts, where things of several kinds have the same id. */
  readonly aggregate?: string;
}

/** Throws a CONFLICT with the present row and what has changed, unless the row has the version that was expected. */
export async function requireVersion(sql: Sql, check: VersionCheck): Promise<void> {
  const { orgId, typename, row, expectedVersion, names, aggregate = null } = check;
  if (expectedVersion == null || expectedVersion === row.version) return;
  const facts = await sql.query<{ fact: Fact }>(
    `select envelope as fact from outbox where org_id = $1::uuid and aggregate_id = $2::uuid
       and aggregate_version > $3::int and ($4::text is null or aggregate_type = $4::text) order by id`,
    [orgId, row.id, expectedVersion, aggregate],
  );
  const changed = facts.flatMap(({ fact }) => changedFields(fact.before, fact.after, names));
  throw new DomainError(
    'CONFLICT',
    'It has changed since you read it. Look at it again before you change it.',
    {
      field: 'expectedVersion',
      current: { __typename: typename, ...row },
      changedFields: [...new Set(changed)],
    },
  );
}
