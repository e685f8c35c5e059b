/**
 * The start-up check of row security: a service that is connected as the wrong role, or over a table somebody forgot
 * to protect, refuses to serve. It reads the catalogue as it is, not as the migrations meant it.
 */
import type pg from 'pg';
import { NOBODY, type TenantPool, withTenant } from './tenant-pool.ts';

/** The database is not protected as it must be. `message` names every problem found. */
export class ProtectionError extends Error {
  override readonly name = 'ProtectionError';
  readonly problems: readonly string[];
  constructor(role: string, problems: readonly string[]) {
    super(
      `role ${role} must not serve this database:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

/** Prisma's own record of migrations. */
const ALWAYS_UNSCOPED = ['_prisma_migrations'];

/**
 * Throws ProtectionError unless the pool's role is an ordinary one that owns nothing, and every relation is a tenant
 * table under forced row security with a policy for this role, or stands on `unscopedTables`: the closed list of
 * tables without `org_id`, each with its reason where the list is written.
 */
export async function assertProtected(
  pool: TenantPool,
  { unscopedTables }: { unscopedTables: readonly string[] },
): Promise<void> {
  const { role, powers, relations } = await readCatalogue(pool);
  const problems = [
    ...powers.map((power) => `it ${power}: row security would not apply`),
    // A superuser is a member of every role and may do everything: the rest would only repeat that.
    ...(powers.length > 0 ? [] : relations.flatMap((relation) => problemsOf(relation, unscopedTables))),
  ];
  if (problems.length > 0) throw new ProtectionError(role, problems);
}

interface Relation {
  name: string;
  kind: 'table' | 'view' | 'materialized view' | 'foreign table';
  isPartition: boolean;
  isOwned: boolean;
  isReachable: boolean;
  canTruncate: boolean;
  hasOrgId: boolean;
  isForced: boolean;
  isInvoker: boolean;
  /** Permissive policies that apply to the role; `isOwn` when they name it, `isScoped` when they read app.org_id. */
  policies: { name: string; isOwn: boolean; isScoped: boolean }[];
}

function problemsOf(relation: Relation, unscopedTables: readonly string[]): string[] {
  const { name, kind } = relation;
  if (relation.isOwned) return [`${name} belongs to it, or to a role it is a member of`];
  if (kind !== 'table') {
    if (!relation.isReachable || (kind === 'view' && relation.isInvoker)) return [];
    return [
      `${kind} ${name} would show every tenant’s rows${kind === 'view' ? ': set security_invoker' : ''}`,
    ];
  }
  if (!relation.hasOrgId) {
    if (unscopedTables.includes(name) || ALWAYS_UNSCOPED.includes(name)) return [];
    return [`table ${name} has no org_id and is not on the closed list of unscoped tables`];
  }
  const problems: string[] = [];
  if (relation.canTruncate) problems.push(`table ${name}: it may TRUNCATE, which row security does not see`);
  if (!relation.isForced) problems.push(`table ${name} is not under forced row security`);
  if (!relation.isPartition && !relation.policies.some((policy) => policy.isOwn)) {
    problems.push(`table ${name} has no policy for it`);
  }
  for (const policy of relation.policies) {
    if (!policy.isScoped) problems.push(`table ${name}: policy ${policy.name} does not compare app.org_id`);
  }
  return problems;
}

async function readCatalogue(pool: TenantPool) {
  return withTenant(NOBODY, async () => {
    const { rows: roles }: pg.QueryResult<{ role: string; powers: string[] }> = await pool.query(ROLE_SQL);
    const { rows: relations }: pg.QueryResult<Relation> = await pool.query(RELATIONS_SQL);
    const [found] = roles;
    if (!found) throw new Error('the catalogue does not know the current role');
    return { ...found, relations };
  });
}

/** A role that one is a member of counts as well: SET ROLE reaches its attributes. */
const ROLE_SQL = `
  select current_user::text as role, array(
    select case when r.rolname = current_user then 'is ' else 'is a member of ' || r.rolname || ', which is ' end
      || case when r.rolsuper then 'a superuser' else 'allowed to bypass row security (BYPASSRLS)' end
    from pg_catalog.pg_roles r
    where (r.rolsuper or r.rolbypassrls) and (r.rolname = current_user or (
      pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')
      and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user)))
    order by 1
  ) as powers`;

const RELATIONS_SQL = `
  select case when n.nspname = 'public' then '' else n.nspname || '.' end || c.relname as "name",
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
      else 'table' end as "kind",
    c.relispartition as "isPartition",
    pg_catalog.pg_has_role(current_user, c.relowner, 'MEMBER') as "isOwned",
    pg_catalog.has_any_column_privilege(c.oid, 'select, insert, update') or
      pg_catalog.has_table_privilege(c.oid, 'delete') as "isReachable",
    pg_catalog.has_table_privilege(c.oid, 'truncate') as "canTruncate",
    exists (select from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped) as "hasOrgId",
    c.relrowsecurity and c.relforcerowsecurity as "isForced",
    coalesce('security_invoker=true' = any (c.reloptions) or 'security_invoker=on' = any (c.reloptions), false)
      as "isInvoker",
    coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', p.polname,
        'isOwn', me.oid = any (p.polroles),
        'isScoped', coalesce(pg_catalog.pg_get_expr(coalesce(p.polqual, p.polwithcheck), p.polrelid) like '%app.org_id%'
          and pg_catalog.pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) like '%app.org_id%', false))
        order by p.polname)
      from pg_catalog.pg_policy p
      where p.polrelid = c.oid and p.polpermissive and exists (
        select from pg_catalog.unnest(p.polroles) as r (oid)
        where r.oid = 0 or pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER'))), '[]') as "policies"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_roles me on me.rolname = current_user
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_t%'
  order by 1`;
