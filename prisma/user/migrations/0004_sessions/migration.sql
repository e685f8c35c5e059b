-- Sessions: listing one's own, telling the routers what was revoked, and the organisations that a person may change to.

-- ── organizations: what org says of an organisation, kept here because sign-in decides on it ────────────────
-- Made at register; name, suspension and version follow the facts of org, who owns them.
create table organizations (
  org_id uuid primary key,
  name text,
  suspended_at timestamptz(3),
  updated_at timestamptz(3) not null default now(),
  version integer not null default 1,
  constraint organizations_name_length check (char_length(name) between 1 and 200),
  constraint organizations_version_positive check (version > 0)
);
comment on column organizations.name is 'null while org has not told it: founded before this table was there';
comment on column organizations.version is 'that of the fact which told it; organizations.version of org';
create index organizations_updated_at_idx on organizations (updated_at) where version > 1;

alter table organizations enable row level security;
alter table organizations force row level security;
create policy organizations_tenant on organizations to taskflow_user_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy organizations_owner on organizations to taskflow_user_owner using (true) with check (true);
-- register: makes it. login: passes over those that are suspended. memberships: names a person's organisations.
-- revocation-announce: tells the routers of those that changed of late.
create policy organizations_system on organizations to taskflow_user_system using (true) with check (true);
grant select, insert, update on organizations to taskflow_user_app;
grant select, insert on organizations to taskflow_user_system;

insert into organizations (org_id, name)
  select distinct on (m.org_id) m.org_id, f.envelope #>> '{after,name}'
    from members m left join outbox f on f.org_id = m.org_id and f.type = 'organization.founded'
    order by m.org_id;

-- ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────
-- One's own open sessions, last active first.
create index sessions_last_active_at_idx on sessions (org_id, user_id, last_active_at, id) where revoked_at is null;
-- The job revocation-announce: sessions that ended, and members who changed, within the life of an access token.
create index sessions_revoked_at_idx on sessions (revoked_at, id) where revoked_at is not null;
create index members_updated_at_idx on members (updated_at, id) where epoch > 1;
