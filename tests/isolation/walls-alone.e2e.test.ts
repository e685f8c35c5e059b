/**
 * Each wall alone. There are two around every tenant: the code names the organisation in each statement, and row-level
 * security would hide the others’ rows if it did not. One of them is taken away, and the matrix must still come out as with
 * both: every operation by every role, with own things and with another organisation's, which answer like absent ones.
 */
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { lookBehind } from '../kit/behind.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { aWorld, tryMatrix, WIDE } from './matrix/matrix.ts';

/** What is invisible within the organisation, or no id at all, has nothing to do with these walls. */
const ACROSS = { kinds: ['own', 'foreign', 'absent'] } as const;

/** `t.org_id = $1::uuid`, and Prisma's `"public"."tasks"."org_id" = $1`. */
const COMPARISON = /(?<![\w."])((?:"?\w+"?\.)*"?org_id"?)\s*=\s*(\$\d+(?:::uuid)?)/gi;

/** The same statement with the same parameters, which finds the rows of every tenant. */
const forgetful = (text: string): string => text.replace(COMPARISON, '($1 = $2 or $2 is not null)');

describe('the statement that has forgotten its tenant', () => {
  it.each([
    [
      'select 1 from tasks t where t.org_id = $1::uuid and t.id = $2::uuid',
      'select 1 from tasks t where (t.org_id = $1::uuid or $1::uuid is not null) and t.id = $2::uuid',
    ],
    [
      'SELECT "public"."tasks"."id" FROM "public"."tasks" WHERE ("public"."tasks"."org_id" = $1 AND 1=1)',
      'SELECT "public"."tasks"."id" FROM "public"."tasks" WHERE (("public"."tasks"."org_id" = $1 or $1 is not null) AND 1=1)',
    ],
    ['update accounts set last_org_id = $2::uuid', 'update accounts set last_org_id = $2::uuid'],
    ['select 1 from a join b on a.org_id = b.org_id', 'select 1 from a join b on a.org_id = b.org_id'],
  ])('%s', (text, expected) => {
    expect(forgetful(text)).toBe(expected);
  });
});

it('second wall alone: with every comparison with the organisation gone from the code, row-level security shows no foreign row', async () => {
  const rewritten = Object.fromEntries(NAMES.map((name) => [name, new Set<string>()])) as Record<
    Subgraph,
    Set<string>
  >;
  let statements = 0;
  const supergraph = await aSupergraph({
    env: WIDE,
    rewriteStatement(subgraph, text) {
      const changed = forgetful(text);
      if (changed === text) return text;
      rewritten[subgraph].add(text);
      statements++;
      return changed;
    },
  });
  const { findings, cases, ms } = await tryMatrix(await aWorld(supergraph, lookBehind(supergraph)), ACROSS);
  const texts = NAMES.map((name) => `${name} ${rewritten[name].size}`).join(', ');
  console.log(
    `second wall alone: ${cases} calls in ${(ms / 1000).toFixed(1)} s, ${statements} statements without their tenant; ` +
      `distinct texts: ${texts}`,
  );
  // A switch that does nothing would prove nothing.
  for (const name of NAMES) expect(rewritten[name].size, name).toBeGreaterThan(3);
  expect(findings).toEqual([]);
}, 600_000);

it('first wall alone: with row-level security off, the code asks for no foreign row', async () => {
  const supergraph = await aSupergraph({ env: WIDE });
  const tables = await switchOffRowSecurity(supergraph);
  const { findings, cases, ms } = await tryMatrix(await aWorld(supergraph, lookBehind(supergraph)), ACROSS);
  console.log(
    `first wall alone: ${cases} calls in ${(ms / 1000).toFixed(1)} s, ${tables} tables without row security`,
  );
  expect(tables).toBeGreaterThan(30);
  expect(findings).toEqual([]);
}, 600_000);

it('without both walls the matrix is full of foreign rows: it would see them', async () => {
  let isForgetful = false;
  const supergraph = await aSupergraph({
    env: WIDE,
    rewriteStatement: (_, text) => (isForgetful ? forgetful(text) : text),
  });
  const world = await aWorld(supergraph, lookBehind(supergraph));
  await switchOffRowSecurity(supergraph);
  isForgetful = true;
  const { findings } = await tryMatrix(world, { ...ACROSS, operation: ({ kind }) => kind === 'Query' });
  for (const field of ['users', 'teams', 'teamTree', 'team', 'projects', 'project', 'tasks', 'task']) {
    const shown = findings.filter(
      (finding) => finding.startsWith(`Query.${field} as`) && finding.includes('the other organisation'),
    );
    expect(shown, field).not.toEqual([]);
  }
}, 300_000);

/** After the start: a service refuses to serve such a database. */
async function switchOffRowSecurity({ databases }: TestSupergraph): Promise<number> {
  let count = 0;
  for (const name of NAMES) {
    const admin = new pg.Client({ connectionString: databases[name].adminUrl });
    await admin.connect();
    try {
      const { rows } = await admin.query<{ table: string }>(
        "select oid::regclass::text as table from pg_class where relnamespace = 'public'::regnamespace and relrowsecurity",
      );
      for (const { table } of rows) {
        await admin.query(`alter table ${table} no force row level security, disable row level security`);
      }
      count += rows.length;
    } finally {
      await admin.end();
    }
  }
  return count;
}
