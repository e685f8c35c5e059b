-- The event path's own tables. The same in all four databases but for the role names; a test compares them.
-- Read kit/outbox.ts, kit/relay.ts, kit/inbox.ts and kit/idempotency.ts beside it.
--
-- Three roles: _owner migrates, _app serves requests (row security, one tenant at a time), _system is the relay,
-- retention and named jobs. FORCE applies row security to the owner as well, hence one policy for each role.

grant usage on schema public to taskflow_task_app, taskflow_task_system;

-- ── outbox: the log of facts, one partition a day ──────────────────────────────────────────────────────────
-- id orders by insertion; a row is appended after its aggregate is locked, so per aggregate id order is version order.
-- seq is the tenant's contiguous number, given by the relay after commit; published_at is set once Redis has the fact.
create table outbox (
  id bigint generated always as identity,
  org_id uuid not null,
  fact_id uuid not null,
  type text not null,
  aggregate_type text not null,
  aggregate_id uuid not null,
  aggregate_version integer not null,
  envelope jsonb not null,
  occurred_at timestamptz not null default now(),
  seq bigint,
  published_at timestamptz,
  constraint outbox_published_is_numbered check (published_at is null or seq is not null)
) partition by range (occurred_at);

create index outbox_org_id_seq_idx on outbox (org_id, seq);
create index outbox_org_id_fact_id_idx on outbox (org_id, fact_id);
-- Serves what has changed since a version, for conflicts.
create index outbox_aggregate_idx on outbox (org_id, aggregate_id, aggregate_version);
create index outbox_unnumbered_idx on outbox (id) where seq is null;
create index outbox_unpublished_idx on outbox (id) where published_at is null;
-- Serves the re-append of all retained facts after Redis lost its data.
create index outbox_id_idx on outbox (id);

alter table outbox enable row level security;
alter table outbox force row level security;
-- A service may append and read; only the relay numbers and publishes.
create policy outbox_tenant on outbox to taskflow_task_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid) and seq is null and published_at is null);
create policy outbox_owner on outbox to taskflow_task_owner using (true) with check (true);
create policy outbox_system on outbox to taskflow_task_system using (true) with check (true);
grant select, insert on outbox to taskflow_task_app;
grant select, update (seq, published_at) on outbox to taskflow_task_system;

-- The net under the daily partitions: a write never fails because upkeep was late.
create table outbox_default partition of outbox default;
alter table outbox_default enable row level security;
alter table outbox_default force row level security;

-- Makes today's partition and the next three (UTC days). Safe to call at any time; answers how many it made.
-- A day that already has rows in outbox_default stays there.
create function outbox_ensure_partitions() returns integer
  language plpgsql security definer set search_path = '' set lock_timeout = '2s' as $$
declare
  first_day date := (pg_catalog.now() at time zone 'UTC')::date;
  day date;
  name text;
  made integer := 0;
begin
  for day in select first_day + n from pg_catalog.generate_series(0, 3) as n loop
    name := 'outbox_' || pg_catalog.to_char(day, 'YYYYMMDD');
    continue when pg_catalog.to_regclass('public.' || name) is not null;
    -- Two replicas starting together: the second waits here and then finds the partition.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('outbox_ensure_partitions'));
    continue when pg_catalog.to_regclass('public.' || name) is not null;
    continue when exists (
      select from public.outbox where occurred_at >= day::timestamp at time zone 'UTC'
        and occurred_at < (day + 1)::timestamp at time zone 'UTC');
    execute pg_catalog.format(
      'create table public.%I partition of public.outbox for values from (%L) to (%L)',
      name, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    execute pg_catalog.format('alter table public.%I enable row level security', name);
    execute pg_catalog.format('alter table public.%I force row level security', name);
    made := made + 1;
  end loop;
  return made;
end $$;

-- Drops the days that ended longer than `keep` ago and are published to the last fact. Safe to call at any time;
-- answers how many it dropped. Looks through the parent: a partition's own row security would show the owner nothing.
create function outbox_drop_partitions(keep interval) returns integer
  language plpgsql security definer set search_path = '' set lock_timeout = '500ms' as $$
declare
  part record;
  day date;
  dropped integer := 0;
begin
  for part in
    select c.relname::text as name from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.outbox'::pg_catalog.regclass and c.relname ~ '^outbox_\d{8}$' order by c.relname
  loop
    day := pg_catalog.to_date(pg_catalog.right(part.name, 8), 'YYYYMMDD');
    continue when (day + 1)::timestamp at time zone 'UTC' > pg_catalog.now() - keep;
    continue when exists (
      select from public.outbox where published_at is null
        and occurred_at >= day::timestamp at time zone 'UTC' and occurred_at < (day + 1)::timestamp at time zone 'UTC');
    execute pg_catalog.format('drop table public.%I', part.name);
    dropped := dropped + 1;
  end loop;
  delete from public.outbox o
    where o.tableoid = 'public.outbox_default'::pg_catalog.regclass
      and o.occurred_at < pg_catalog.now() - keep and o.published_at is not null;
  return dropped;
end $$;

revoke execute on function outbox_ensure_partitions(), outbox_drop_partitions(interval) from public;
grant execute on function outbox_ensure_partitions(), outbox_drop_partitions(interval) to taskflow_task_system;
select outbox_ensure_partitions();

-- ── outbox_positions: each tenant's last number; outlives the facts themselves ─────────────────────────────
create table outbox_positions (
  org_id uuid primary key,
  last_seq bigint not null
);
alter table outbox_positions enable row level security;
alter table outbox_positions force row level security;
create policy outbox_positions_tenant on outbox_positions to taskflow_task_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy outbox_positions_owner on outbox_positions to taskflow_task_owner using (true) with check (true);
create policy outbox_positions_system on outbox_positions to taskflow_task_system using (true) with check (true);
grant select on outbox_positions to taskflow_task_app;
grant select, insert, update on outbox_positions to taskflow_task_system;

-- ── relay_lease: who relays. No tenant: it stands on the closed list of the start-up check ─────────────────
-- token grows with every change of leader (fencing); batch counts publications and is compared with Redis.
create table relay_lease (
  is_only boolean primary key default true check (is_only),
  holder text,
  token bigint not null default 0,
  batch bigint not null default 0,
  expires_at timestamptz not null default '-infinity'
);
insert into relay_lease default values;
grant select, update on relay_lease to taskflow_task_system;

-- ── inbox: what was handled. Kept longer than any outbox, so that a re-appended fact is still known ────────
create table inbox (
  org_id uuid not null,
  source text not null,
  fact_id uuid not null,
  handled_at timestamptz not null default now(),
  primary key (org_id, source, fact_id)
);
create index inbox_handled_at_idx on inbox (handled_at);
alter table inbox enable row level security;
alter table inbox force row level security;
create policy inbox_tenant on inbox to taskflow_task_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy inbox_owner on inbox to taskflow_task_owner using (true) with check (true);
create policy inbox_system on inbox to taskflow_task_system using (true) with check (true);
grant select, insert on inbox to taskflow_task_app;
grant select, delete on inbox to taskflow_task_system;

-- ── dead_letters: facts this service could not handle, in the order they arrived ───────────────────────────
create table dead_letters (
  org_id uuid not null,
  id bigint generated always as identity,
  source text not null,
  fact_id uuid not null,
  type text not null,
  aggregate_id uuid not null,
  envelope jsonb not null,
  reason text not null,
  attempts integer not null,
  created_at timestamptz not null default now(),
  replayed_at timestamptz,
  primary key (org_id, id),
  constraint dead_letters_fact_key unique (org_id, source, fact_id)
);
create index dead_letters_waiting_idx on dead_letters (org_id, source, aggregate_id, id) where replayed_at is null;
alter table dead_letters enable row level security;
alter table dead_letters force row level security;
create policy dead_letters_tenant on dead_letters to taskflow_task_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy dead_letters_owner on dead_letters to taskflow_task_owner using (true) with check (true);
create policy dead_letters_system on dead_letters to taskflow_task_system using (true) with check (true);
grant select, insert, update on dead_letters to taskflow_task_app;
grant select on dead_letters to taskflow_task_system;

-- ── parked_aggregates: things whose later facts wait behind a dead letter ──────────────────────────────────
create table parked_aggregates (
  org_id uuid not null,
  source text not null,
  aggregate_id uuid not null,
  parked_at timestamptz not null default now(),
  primary key (org_id, source, aggregate_id)
);
alter table parked_aggregates enable row level security;
alter table parked_aggregates force row level security;
create policy parked_aggregates_tenant on parked_aggregates to taskflow_task_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy parked_aggregates_owner on parked_aggregates to taskflow_task_owner using (true) with check (true);
create policy parked_aggregates_system on parked_aggregates to taskflow_task_system using (true) with check (true);
-- update is for row locks only
grant select, insert, update, delete on parked_aggregates to taskflow_task_app;
grant select on parked_aggregates to taskflow_task_system;

-- ── idempotency_keys: what a mutation that carried a key has answered ──────────────────────────────────────
create table idempotency_keys (
  org_id uuid not null,
  user_id uuid not null,
  key text not null check (length(key) between 1 and 200),
  field text not null,
  request_hash text not null,
  result_ids jsonb not null default '[]',
  created_at timestamptz not null default now(),
  primary key (org_id, user_id, key)
);
create index idempotency_keys_created_at_idx on idempotency_keys (created_at);
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy idempotency_keys_tenant on idempotency_keys to taskflow_task_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy idempotency_keys_owner on idempotency_keys to taskflow_task_owner using (true) with check (true);
create policy idempotency_keys_system on idempotency_keys to taskflow_task_system using (true) with check (true);
grant select, insert, update on idempotency_keys to taskflow_task_app;
grant select, delete on idempotency_keys to taskflow_task_system;
