-- Credentials: passwords that change, addresses that are proved, and the single-use tokens that do both.

alter table accounts add column email_verified_at timestamptz(3);
comment on column accounts.email_verified_at is 'when somebody showed a token that was sent to the present address and nowhere else; null until then';

-- A changed or reset password ends sessions, and says so.
alter table sessions drop constraint sessions_reason_values;
alter table sessions add constraint sessions_reason_values
  check (revoked_reason in ('LOGOUT', 'TOKEN_REUSED', 'MEMBER_CHANGED', 'REVOKED', 'PASSWORD_CHANGED'));

-- ── credential_tokens: sent by mail, used once; only the hash is kept ──────────────────────────────────────
-- A token belongs to a person within the organisation that it was asked for in, and acts on their account. A change of
-- address has two of them, one for each address, with one change_id.
create table credential_tokens (
  org_id uuid not null,
  id uuid not null,
  kind text not null,
  account_id uuid not null,
  token_hash bytea not null,
  email text not null,
  new_email text,
  change_id uuid,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  revoked_at timestamptz(3),
  primary key (org_id, id),
  constraint credential_tokens_member_fkey foreign key (org_id, account_id) references members (org_id, id),
  constraint credential_tokens_hash_key unique (org_id, token_hash),
  constraint credential_tokens_kind_values check (kind in ('PASSWORD_RESET', 'EMAIL_VERIFICATION', 'EMAIL_CHANGE')),
  constraint credential_tokens_hash_is_sha256 check (octet_length(token_hash) = 32),
  constraint credential_tokens_email_is_lower_case check (email = lower(email)),
  constraint credential_tokens_new_email_is_lower_case check (new_email = lower(new_email)),
  constraint credential_tokens_change_is_whole
    check ((kind = 'EMAIL_CHANGE') = (new_email is not null) and (new_email is null) = (change_id is null)),
  constraint credential_tokens_used_or_revoked check (used_at is null or revoked_at is null)
);
comment on column credential_tokens.email is 'where the token was sent';
comment on column credential_tokens.revoked_at is 'when a later token, or a change that made it pointless, replaced it';
-- How many a person was sent of late, in whatever organisation; and what is still open.
create index credential_tokens_account_idx on credential_tokens (account_id, kind, created_at);
create index credential_tokens_expires_at_idx on credential_tokens (expires_at);

alter table credential_tokens enable row level security;
alter table credential_tokens force row level security;
create policy credential_tokens_tenant on credential_tokens to taskflow_user_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy credential_tokens_owner on credential_tokens to taskflow_user_owner using (true) with check (true);

-- ── named jobs that cross the border of a tenant ───────────────────────────────────────────────────────────
-- They act on an account, which is global; the serving role is granted nothing here.
--   password-rehash        accounts: a new hash of the same password, when its parameters have changed
--   password-change        accounts: the hash; sessions and refresh_tokens of the person in all their organisations
--   password-reset         as password-change, by a token; login_attempts of the account; makes the token
--   email-verification     accounts: email_verified_at; makes and uses the token
--   email-change           accounts and members: the address, in all organisations of the person; makes and uses the tokens
--   credential-retention   credential_tokens: deletes what expired long ago
create policy credential_tokens_system on credential_tokens to taskflow_user_system using (true) with check (true);
grant select, insert, update, delete on credential_tokens to taskflow_user_system;
grant update on sessions to taskflow_user_system;
