-- How many members an organisation has and may have, and what else of its plan stands in access tokens.

-- ── quotas: how many members an organisation has, and how many its plan allows (kit/quota.ts) ──────────────────────
-- used is counted in the transaction of each change. The rest is what plan.changed told last: allowed within the window,
-- allowed_otherwise before and after it; null means no limit, and version 0 that nothing was told yet.
create table quotas (
  org_id uuid primary key,
  used integer not null default 0,
  plan text,
  allowed integer,
  allowed_otherwise integer,
  starts_at timestamptz(3),
  ends_at timestamptz(3),
  version integer not null default 0,
  constraint quotas_used_count check (used >= 0),
  constraint quotas_allowed_count check (allowed >= 0 and allowed_otherwise >= 0),
  constraint quotas_version_count check (version >= 0)
);

-- ── organization_plans: projection of org, for the claims of access tokens ─────────────────────────────────
-- Absent on purpose: CHECKs on the values. Their owner checked them.
create table organization_plans (
  org_id uuid primary key,
  name text not null,
  starts_at timestamptz(3) not null,
  ends_at timestamptz(3),
  api_calls_allowed integer,
  api_calls_allowed_otherwise integer,
  version integer not null
);
comment on table organization_plans is 'projection of org: organization_plans';

-- ── the second wall: forced row security with one policy per role, on every tenant table of this file ──────
do $$
declare
  name text;
begin
  foreach name in array array['quotas', 'organization_plans'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy %I on %I to taskflow_user_app
         using (org_id = (select current_setting(''app.org_id'')::uuid))
         with check (org_id = (select current_setting(''app.org_id'')::uuid))', name || '_tenant', name);
    execute format('create policy %I on %I to taskflow_user_owner using (true) with check (true)', name || '_owner', name);
  end loop;
end $$;

grant select, insert, update on quotas, organization_plans to taskflow_user_app;

-- The jobs register and invite-accept count the member that they make.
create policy quotas_system on quotas to taskflow_user_system using (true) with check (true);
grant select, insert, update on quotas to taskflow_user_system;

-- Who is there already. A suspended person keeps their place, a removed one has given it back.
insert into quotas (org_id, used) select org_id, count(*) from members where status <> 'REMOVED' group by org_id;
