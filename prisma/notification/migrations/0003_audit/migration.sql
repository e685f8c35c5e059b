-- The audit log. The same in all four databases but for the role names; a test compares them.
-- Read kit/audit.ts, kit/audit-chain.ts, kit/audit-seal.ts and kit/audit-retention.ts beside it.
--
--   audit_entries    what is known for good        no role may change a row; only the retention job may remove one
--   audit_details    what concerns persons         may be erased; the entry keeps a salted digest of it
--   audit_unsealed   entries that wait for a seal  appended with the entry, taken away with its seal
--   audit_seals      one link of the tenant's chain of hashes for each entry, numbered without gaps
--   audit_chain      where each tenant's chain ends
--   audit_checkpoints  where it begins, once retention has removed what was before; signed
--
-- The jobs of the system role here: audit-seal and audit-retention (both the relay's), and erasure of details.

-- ── audit_entries: append-only. occurred_at is the time within id (a UUIDv7), so that the primary key orders by time ─
create table audit_entries (
  org_id uuid not null,
  id uuid not null,
  action text not null,
  target_type text not null,
  target_id uuid,
  actor_id uuid,
  session_id uuid,
  request_id text not null,
  occurred_at timestamptz(3) not null,
  details_digest bytea not null,
  primary key (org_id, id),
  constraint audit_entries_action_form check (action ~ '^[a-z0-9-]+\.[a-z0-9-]+$' and length(action) <= 100),
  constraint audit_entries_target_type_length check (length(target_type) between 1 and 100),
  constraint audit_entries_request_id_length check (length(request_id) <= 200),
  constraint audit_entries_digest_length check (octet_length(details_digest) = 32)
);
comment on column audit_entries.actor_id is 'owned by user: members.id; null when nobody was signed in, or the system acted';
comment on column audit_entries.session_id is 'owned by user: the session or the API key that was used';
comment on column audit_entries.target_id is 'an id of this subgraph or another, as target_type says; never an address or a name';

-- Newest first, read backwards: the whole log by its key, and what one person did, what happened to one thing, one action.
create index audit_entries_actor_id_idx on audit_entries (org_id, actor_id, id);
create index audit_entries_target_id_idx on audit_entries (org_id, target_id, id);
create index audit_entries_action_idx on audit_entries (org_id, action, id);

alter table audit_entries enable row level security;
alter table audit_entries force row level security;
create policy audit_entries_tenant on audit_entries to taskflow_notification_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy audit_entries_owner on audit_entries to taskflow_notification_owner using (true) with check (true);
create policy audit_entries_system on audit_entries to taskflow_notification_system using (true) with check (true);
grant select, insert on audit_entries to taskflow_notification_app;
grant select, insert, delete on audit_entries to taskflow_notification_system;

-- ── audit_details: JSON text whose exact bytes the digest covers. Without a foreign key: it would cost each change a ──
-- lookup and a lock, and both rows are only ever written by the one statement of kit/audit.ts.
create table audit_details (
  org_id uuid not null,
  entry_id uuid not null,
  salt bytea not null,
  details text not null,
  primary key (org_id, entry_id),
  constraint audit_details_salt_length check (octet_length(salt) = 16)
);
alter table audit_details enable row level security;
alter table audit_details force row level security;
create policy audit_details_tenant on audit_details to taskflow_notification_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy audit_details_owner on audit_details to taskflow_notification_owner using (true) with check (true);
create policy audit_details_system on audit_details to taskflow_notification_system using (true) with check (true);
grant select, insert on audit_details to taskflow_notification_app;
grant select, insert, delete on audit_details to taskflow_notification_system;

-- ── audit_unsealed: the queue of the seal. A row is there exactly until its entry has a seal ────────────────
create table audit_unsealed (
  org_id uuid not null,
  entry_id uuid not null
);
create index audit_unsealed_entry_id_idx on audit_unsealed (entry_id);
alter table audit_unsealed enable row level security;
alter table audit_unsealed force row level security;
create policy audit_unsealed_tenant on audit_unsealed to taskflow_notification_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy audit_unsealed_owner on audit_unsealed to taskflow_notification_owner using (true) with check (true);
create policy audit_unsealed_system on audit_unsealed to taskflow_notification_system using (true) with check (true);
grant insert on audit_unsealed to taskflow_notification_app;
grant select, insert, delete on audit_unsealed to taskflow_notification_system;

-- ── audit_seals: written by the relay after commit, in the order in which it claimed the entries ────────────
create table audit_seals (
  org_id uuid not null,
  seq bigint not null,
  entry_id uuid not null,
  hash bytea not null,
  sealed_at timestamptz not null default now(),
  primary key (org_id, seq),
  constraint audit_seals_entry_key unique (org_id, entry_id),
  constraint audit_seals_seq_positive check (seq > 0),
  constraint audit_seals_hash_length check (octet_length(hash) = 32)
);
alter table audit_seals enable row level security;
alter table audit_seals force row level security;
create policy audit_seals_tenant on audit_seals to taskflow_notification_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy audit_seals_owner on audit_seals to taskflow_notification_owner using (true) with check (true);
create policy audit_seals_system on audit_seals to taskflow_notification_system using (true) with check (true);
grant select on audit_seals to taskflow_notification_app;
grant select, insert, delete on audit_seals to taskflow_notification_system;

-- ── audit_chain: the end of each chain. Compared and moved by the statement that seals ──────────────────────
create table audit_chain (
  org_id uuid primary key,
  last_seq bigint not null,
  last_hash bytea not null,
  constraint audit_chain_hash_length check (octet_length(last_hash) = 32)
);
alter table audit_chain enable row level security;
alter table audit_chain force row level security;
create policy audit_chain_tenant on audit_chain to taskflow_notification_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy audit_chain_owner on audit_chain to taskflow_notification_owner using (true) with check (true);
create policy audit_chain_system on audit_chain to taskflow_notification_system using (true) with check (true);
grant select on audit_chain to taskflow_notification_app;
grant select, insert, update on audit_chain to taskflow_notification_system;

-- ── audit_checkpoints: what retention leaves in place of the beginning. Only the newest of a tenant is kept ──
create table audit_checkpoints (
  org_id uuid not null,
  seq bigint not null,
  hash bytea not null,
  removed_until timestamptz(3) not null,
  signature text not null,
  created_at timestamptz(3) not null default now(),
  primary key (org_id, seq),
  constraint audit_checkpoints_hash_length check (octet_length(hash) = 32)
);
alter table audit_checkpoints enable row level security;
alter table audit_checkpoints force row level security;
create policy audit_checkpoints_tenant on audit_checkpoints to taskflow_notification_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy audit_checkpoints_owner on audit_checkpoints to taskflow_notification_owner using (true) with check (true);
create policy audit_checkpoints_system on audit_checkpoints to taskflow_notification_system using (true) with check (true);
grant select on audit_checkpoints to taskflow_notification_app;
grant select, insert, delete on audit_checkpoints to taskflow_notification_system;

-- ── what grants cannot say: an entry or a seal is removed only when a checkpoint stands for it ──────────────
create function audit_entries_refuse_removal() returns trigger language plpgsql set search_path = '' as $$
begin
  if exists (
    select from removed r where not exists (
      select from public.audit_seals s join public.audit_checkpoints c on c.org_id = s.org_id and c.seq >= s.seq
      where s.org_id = r.org_id and s.entry_id = r.id))
  then raise exception 'an entry of the audit log is kept until a checkpoint stands for it' using errcode = '42501';
  end if;
  return null;
end $$;
create trigger audit_entries_kept after delete on audit_entries
  referencing old table as removed for each statement execute function audit_entries_refuse_removal();

create function audit_seals_refuse_removal() returns trigger language plpgsql set search_path = '' as $$
begin
  if exists (
    select from removed r where not exists (
      select from public.audit_checkpoints c where c.org_id = r.org_id and c.seq >= r.seq))
  then raise exception 'a seal of the audit log is kept until a checkpoint stands for it' using errcode = '42501';
  end if;
  return null;
end $$;
create trigger audit_seals_kept after delete on audit_seals
  referencing old table as removed for each statement execute function audit_seals_refuse_removal();

-- The owner may change tables, not history.
create function audit_refuse_change() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception 'the audit log is append-only' using errcode = '42501';
end $$;
create trigger audit_entries_never_change before update on audit_entries
  for each statement execute function audit_refuse_change();
create trigger audit_seals_never_change before update on audit_seals
  for each statement execute function audit_refuse_change();
