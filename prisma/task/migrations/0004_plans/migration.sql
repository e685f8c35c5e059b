-- How many tasks an organisation has, and how many it may have.

-- ── quotas: how many tasks an organisation has, and how many its plan allows (kit/quota.ts) ──────────────────────
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


-- ── the second wall: forced row security with one policy per role, on every tenant table of this file ──────
do $$
declare
  name text;
begin
  foreach name in array array['quotas'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy %I on %I to taskflow_task_app
         using (org_id = (select current_setting(''app.org_id'')::uuid))
         with check (org_id = (select current_setting(''app.org_id'')::uuid))', name || '_tenant', name);
    execute format('create policy %I on %I to taskflow_task_owner using (true) with check (true)', name || '_owner', name);
  end loop;
end $$;

grant select, insert, update on quotas to taskflow_task_app;

-- What is there already.
insert into quotas (org_id, used) select org_id, count(*) from tasks where deleted_at is null group by org_id;
