-- Plans: what an organisation has contracted, and how much of it is in use.

-- ── organization_plans: one contract, with its window. Before and after the window FREE is in force ────────
-- limits and otherwise are what plan.changed told last, as JSON: { members, projects, tasks, apiCalls }, null being no
-- limit. They are told again when the configuration says something else, and null here means: not told yet.
create table organization_plans (
  org_id uuid primary key,
  name text not null default 'FREE',
  starts_at timestamptz(3) not null default now(),
  ends_at timestamptz(3),
  limits jsonb,
  otherwise jsonb,
  is_end_told boolean not null default false,
  updated_at timestamptz(3) not null default now(),
  version integer not null default 1,
  constraint organization_plans_organization_fkey foreign key (org_id) references organizations (org_id),
  constraint organization_plans_name_values check (name in ('FREE', 'TEAM', 'BUSINESS')),
  constraint organization_plans_ends_after_start check (ends_at > starts_at),
  constraint organization_plans_told_together check ((limits is null) = (otherwise is null)),
  constraint organization_plans_version_positive check (version > 0)
);
-- Serves the job that tells of a contract's end.
create index organization_plans_ends_at_idx on organization_plans (ends_at) where not is_end_told;

-- ── quotas: how many projects an organisation has, and how many its plan allows (kit/quota.ts) ──────────────────────
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

-- ── api_call_counts: calls of a calendar month (UTC), one row for each counter of a router ─────────────────
-- Each row only ever grows to what its router has counted in all, so that telling it twice changes nothing and a Redis
-- that lost its data takes nothing away. The month's calls are the sum.
create table api_call_counts (
  org_id uuid not null,
  month date not null,
  counter text not null,
  calls bigint not null,
  primary key (org_id, month, counter),
  constraint api_call_counts_month_is_first_day check (extract(day from month) = 1),
  constraint api_call_counts_counter_length check (char_length(counter) between 1 and 64),
  constraint api_call_counts_calls_count check (calls >= 0)
);
create index api_call_counts_month_idx on api_call_counts (month);

-- ── the second wall: forced row security with one policy per role, on every tenant table of this file ──────
do $$
declare
  name text;
begin
  foreach name in array array['organization_plans', 'quotas', 'api_call_counts'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy %I on %I to taskflow_org_app
         using (org_id = (select current_setting(''app.org_id'')::uuid))
         with check (org_id = (select current_setting(''app.org_id'')::uuid))', name || '_tenant', name);
    execute format('create policy %I on %I to taskflow_org_owner using (true) with check (true)', name || '_owner', name);
  end loop;
end $$;

grant select, insert, update on organization_plans, quotas to taskflow_org_app;
grant select on api_call_counts to taskflow_org_app;

-- ── named jobs that cross the border of a tenant, with exactly what each needs ─────────────────────────────
-- plan-telling: finds whose plan has to be told (again). usage-flush: keeps what routers have counted, and forgets old
-- months. The operator's `plan` command finds an organisation by its short name.
create policy organization_plans_system on organization_plans to taskflow_org_system using (true) with check (true);
create policy api_call_counts_system on api_call_counts to taskflow_org_system using (true) with check (true);
create policy organizations_system on organizations for select to taskflow_org_system using (true);
grant select on organization_plans, organizations to taskflow_org_system;
grant select, insert, update, delete on api_call_counts to taskflow_org_system;

-- Everybody who is there already begins with FREE, told by the job as soon as the service runs.
insert into organization_plans (org_id) select org_id from organizations;
insert into quotas (org_id, used) select org_id, count(*) from projects group by org_id;
