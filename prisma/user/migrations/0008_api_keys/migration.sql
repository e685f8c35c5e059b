-- Machines: keys that act as the person who made them; and signing keys that are published before they sign.

-- ── signing_keys: NEXT is in the key set already and signs from activates_at on ────────────────────────────
alter table signing_keys add column activates_at timestamptz(3);
comment on column signing_keys.activates_at is 'when it begins or began to sign; null for a first key, which signed from the start';
alter table signing_keys drop constraint signing_keys_status_values;
alter table signing_keys add constraint signing_keys_status_values check (status in ('NEXT', 'ACTIVE', 'RETIRED'));
alter table signing_keys add constraint signing_keys_next_has_time check (status <> 'NEXT' or activates_at is not null);
-- One rotation at a time.
create unique index signing_keys_next_key on signing_keys (status) where status = 'NEXT';

-- ── api_keys: shown once, kept as a hash ───────────────────────────────────────────────────────────────────
create table api_keys (
  org_id uuid not null,
  id uuid not null,
  name text not null,
  prefix text not null,
  token_hash bytea not null,
  scopes text[] not null,
  requests_per_minute integer not null,
  created_by uuid not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3),
  last_used_at timestamptz(3),
  revoked_at timestamptz(3),
  revoked_by uuid,
  primary key (org_id, id),
  constraint api_keys_created_by_fkey foreign key (org_id, created_by) references members (org_id, id),
  constraint api_keys_revoked_by_fkey foreign key (org_id, revoked_by) references members (org_id, id),
  constraint api_keys_hash_key unique (org_id, token_hash),
  constraint api_keys_name_length check (char_length(name) between 1 and 200),
  constraint api_keys_prefix_length check (char_length(prefix) between 1 and 12),
  constraint api_keys_hash_is_sha256 check (octet_length(token_hash) = 32),
  constraint api_keys_scopes_values check (scopes <@ array['READ', 'WRITE', 'ADMIN'] and cardinality(scopes) between 1 and 3),
  constraint api_keys_rate_positive check (requests_per_minute > 0),
  constraint api_keys_revoked_by_somebody check (revoked_by is null or revoked_at is not null)
);
comment on column api_keys.id is 'stands as the session of whoever uses the key, so that revoking works as for sessions';
comment on column api_keys.prefix is 'the first characters of the secret, by which people recognise a key';
comment on column api_keys.last_used_at is 'written once a minute at most';
create index api_keys_created_at_idx on api_keys (org_id, created_at, id);
create index api_keys_created_by_idx on api_keys (org_id, created_by, created_at, id);

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy api_keys_tenant on api_keys to taskflow_user_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy api_keys_owner on api_keys to taskflow_user_owner using (true) with check (true);
grant select, insert, update on api_keys to taskflow_user_app;
