-- People: global accounts with their secrets, and per organisation the member that stands behind GraphQL User.
--
-- Ids are UUIDv7 made by the application. Times have milliseconds, as JavaScript has: a cursor keeps them exactly.

-- ── global tables: no org_id, on the closed list of the start-up check, reached by _system only ────────────

-- A person's address and password. One account may be a member of several organisations.
create table accounts (
  id uuid primary key,
  email text not null,
  password_hash text not null,
  last_org_id uuid,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  constraint accounts_email_key unique (email),
  constraint accounts_email_is_lower_case check (email = lower(email)),
  constraint accounts_email_length check (char_length(email) between 3 and 254)
);
comment on column accounts.last_org_id is 'where a login that names no organisation signs in; members.org_id of this person';

-- The keys that sign access tokens, shared by the replicas. The private half is encrypted by the service.
create table signing_keys (
  kid text primary key,
  algorithm text not null default 'ES256',
  public_jwk jsonb not null,
  private_key_encrypted bytea not null,
  status text not null,
  created_at timestamptz(3) not null default now(),
  retired_at timestamptz(3),
  constraint signing_keys_status_values check (status in ('ACTIVE', 'RETIRED')),
  constraint signing_keys_retired_has_time check ((status = 'RETIRED') = (retired_at is not null))
);
-- Replicas that start together and each make a first key end with one.
create unique index signing_keys_active_key on signing_keys (status) where status = 'ACTIVE';

-- Failed logins by account and address. The account is a hash of the lower-cased e-mail, so that unknown addresses
-- are counted in the same way. One row per pair: the update's row lock makes the count exact.
create table login_attempts (
  account_hash bytea not null,
  address text not null,
  failures integer not null default 0,
  locked_until timestamptz(3),
  updated_at timestamptz(3) not null default now(),
  primary key (account_hash, address),
  constraint login_attempts_hash_is_sha256 check (octet_length(account_hash) = 32),
  constraint login_attempts_failures_count check (failures >= 0),
  constraint login_attempts_address_length check (char_length(address) <= 64)
);
create index login_attempts_updated_at_idx on login_attempts (updated_at);

grant select, insert, update on accounts, signing_keys to taskflow_user_system;
grant select, insert, update, delete on login_attempts to taskflow_user_system;

-- ── members: a person in an organisation ───────────────────────────────────────────────────────────────────
create table members (
  org_id uuid not null,
  id uuid not null,
  name text collate "und-x-icu" not null,
  email text not null,
  role text not null,
  status text not null default 'ACTIVE',
  epoch integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  archived_at timestamptz(3),
  version integer not null default 1,
  primary key (org_id, id),
  constraint members_account_fkey foreign key (id) references accounts (id),
  constraint members_email_key unique (org_id, email),
  constraint members_name_length check (char_length(name) between 1 and 200),
  constraint members_email_is_lower_case check (email = lower(email)),
  constraint members_role_values check (role in ('ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST')),
  constraint members_status_values check (status in ('ACTIVE', 'SUSPENDED', 'REMOVED')),
  constraint members_removed_has_time check ((status = 'REMOVED') = (archived_at is not null)),
  constraint members_epoch_positive check (epoch > 0),
  constraint members_version_positive check (version > 0)
);
comment on column members.org_id is 'the organisation, named and owned by org (organizations.org_id); this service makes the id at register';
comment on column members.id is 'the same id as accounts.id';
comment on column members.archived_at is 'when the person was removed from the organisation';
comment on column members.epoch is 'rises when role or status changes; access tokens of an older epoch are refused';
-- Lists: by name, by age. The login job finds a person's organisations by id.
create index members_name_idx on members (org_id, name, id);
create index members_created_at_idx on members (org_id, created_at, id);
create index members_id_idx on members (id);

-- ── sessions: one per sign-in; its id is the family of its refresh tokens and the sid of its access tokens ─
create table sessions (
  org_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  user_agent text,
  address text,
  created_at timestamptz(3) not null default now(),
  last_active_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  revoked_reason text,
  primary key (org_id, id),
  constraint sessions_member_fkey foreign key (org_id, user_id) references members (org_id, id),
  constraint sessions_user_agent_length check (char_length(user_agent) <= 500),
  constraint sessions_address_length check (char_length(address) <= 64),
  constraint sessions_reason_values check (revoked_reason in ('LOGOUT', 'TOKEN_REUSED', 'MEMBER_CHANGED', 'REVOKED')),
  constraint sessions_reason_has_time check (revoked_reason is null or revoked_at is not null)
);
create index sessions_user_id_idx on sessions (org_id, user_id, created_at, id);
create index sessions_expires_at_idx on sessions (expires_at);

-- ── refresh_tokens: a family is a session; each use makes the next generation ──────────────────────────────
-- A child is derived: HMAC(server key, family, generation, parent's secret). Nothing of it is stored but the hash, and
-- the immediate parent, presented again within the grace time, yields the same child.
create table refresh_tokens (
  org_id uuid not null,
  session_id uuid not null,
  generation integer not null,
  token_hash bytea not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  primary key (org_id, session_id, generation),
  constraint refresh_tokens_session_fkey foreign key (org_id, session_id) references sessions (org_id, id) on delete cascade,
  constraint refresh_tokens_hash_key unique (org_id, token_hash),
  constraint refresh_tokens_hash_is_sha256 check (octet_length(token_hash) = 32),
  constraint refresh_tokens_generation_count check (generation >= 0)
);

-- ── invites: bound to an address, used once, 7 days; only the hash of the token is kept ────────────────────
create table invites (
  org_id uuid not null,
  id uuid not null,
  email text not null,
  role text not null,
  token_hash bytea not null,
  created_by uuid not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  accepted_at timestamptz(3),
  accepted_by uuid,
  revoked_at timestamptz(3),
  version integer not null default 1,
  primary key (org_id, id),
  constraint invites_created_by_fkey foreign key (org_id, created_by) references members (org_id, id),
  constraint invites_accepted_by_fkey foreign key (org_id, accepted_by) references members (org_id, id),
  constraint invites_hash_key unique (org_id, token_hash),
  constraint invites_email_is_lower_case check (email = lower(email)),
  constraint invites_email_length check (char_length(email) between 3 and 254),
  constraint invites_role_values check (role in ('ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST')),
  constraint invites_hash_is_sha256 check (octet_length(token_hash) = 32),
  constraint invites_accepted_by_somebody check ((accepted_at is null) = (accepted_by is null)),
  constraint invites_used_once check (accepted_at is null or revoked_at is null)
);
create index invites_created_at_idx on invites (org_id, created_at, id);
create index invites_email_idx on invites (org_id, email);

-- ── the second wall: forced row security with one policy per role, on every tenant table of this file ──────
-- The tenant policy is loud: without a context current_setting raises, with garbage the cast does.
do $$
declare
  name text;
begin
  foreach name in array array[
    'members', 'sessions', 'refresh_tokens', 'invites'
  ] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy %I on %I to taskflow_user_app
         using (org_id = (select current_setting(''app.org_id'')::uuid))
         with check (org_id = (select current_setting(''app.org_id'')::uuid))', name || '_tenant', name);
    execute format('create policy %I on %I to taskflow_user_owner using (true) with check (true)', name || '_owner', name);
  end loop;
end $$;

grant select, insert, update on members, sessions, refresh_tokens, invites to taskflow_user_app;

-- ── named jobs that cross the border of a tenant, with exactly what each needs ─────────────────────────────
-- register, invite-accept: account, member and facts in one transaction. login: a person's memberships.
-- session-retention: deletes what expired long ago.
create policy members_system on members to taskflow_user_system using (true) with check (true);
create policy invites_system on invites to taskflow_user_system using (true) with check (true);
create policy sessions_system on sessions to taskflow_user_system using (true) with check (true);
create policy refresh_tokens_system on refresh_tokens to taskflow_user_system using (true) with check (true);
grant select, insert, update on members to taskflow_user_system;
grant select, update on invites to taskflow_user_system;
grant select, insert, delete on sessions, refresh_tokens to taskflow_user_system;
grant insert on outbox to taskflow_user_system;
