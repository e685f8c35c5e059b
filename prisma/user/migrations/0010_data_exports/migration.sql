-- Data exports: what all subgraphs hold about a person, gathered through facts and kept as one archive for a week.

-- ── data_exports: GATHERING until every part is there, then READY with its archive ─────────────────────────
create table data_exports (
  org_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  state text not null default 'GATHERING',
  archive bytea,
  created_at timestamptz(3) not null default now(),
  ready_at timestamptz(3),
  expires_at timestamptz(3) not null,
  primary key (org_id, id),
  constraint data_exports_user_fkey foreign key (org_id, user_id) references members (org_id, id),
  constraint data_exports_state_values check (state in ('GATHERING', 'READY')),
  constraint data_exports_ready_is_whole
    check ((state = 'READY') = (archive is not null) and (archive is null) = (ready_at is null))
);
comment on column data_exports.archive is 'a ZIP of what all four subgraphs hold about the person within this organisation';
comment on column data_exports.expires_at is 'when it is deleted, also where it never became ready';
-- One's own, newest first; and what has expired.
create index data_exports_user_id_idx on data_exports (org_id, user_id, created_at, id);
create index data_exports_expires_at_idx on data_exports (expires_at);

alter table data_exports enable row level security;
alter table data_exports force row level security;
create policy data_exports_tenant on data_exports to taskflow_user_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy data_exports_owner on data_exports to taskflow_user_owner using (true) with check (true);
-- Job data-export-retention: deletes what has expired, its parts with it.
create policy data_exports_system on data_exports to taskflow_user_system using (true) with check (true);
grant select, insert, update on data_exports to taskflow_user_app;
grant select, delete on data_exports to taskflow_user_system;

-- ── data_export_parts: what other subgraphs have sent, until the archive is made ───────────────────────────
create table data_export_parts (
  org_id uuid not null,
  export_id uuid not null,
  source text not null,
  part_index integer not null,
  part_count integer not null,
  content text not null,
  -- A fact delivered twice makes one part.
  primary key (org_id, export_id, source, part_index),
  constraint data_export_parts_export_fkey foreign key (org_id, export_id) references data_exports (org_id, id)
    on delete cascade,
  constraint data_export_parts_index_in_count check (part_index >= 0 and part_index < part_count)
);
comment on column data_export_parts.source is 'the subgraph that gathered it';

alter table data_export_parts enable row level security;
alter table data_export_parts force row level security;
create policy data_export_parts_tenant on data_export_parts to taskflow_user_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy data_export_parts_owner on data_export_parts to taskflow_user_owner using (true) with check (true);
grant select, insert, delete on data_export_parts to taskflow_user_app;
