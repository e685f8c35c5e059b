-- An organisation may be suspended by an operator: its people cannot sign in, and its data stays.

alter table organizations
  add column status text not null default 'ACTIVE',
  add column suspended_at timestamptz(3),
  add constraint organizations_status_values check (status in ('ACTIVE', 'SUSPENDED')),
  add constraint organizations_suspended_has_time check ((status = 'SUSPENDED') = (suspended_at is not null));

-- The operator's `organization` commands find an organisation by its short name, by the right that those for plans have.
create index organizations_slug_idx on organizations (slug);
