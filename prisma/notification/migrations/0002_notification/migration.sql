-- The inbox of each person: notices made from facts, and how many of them are unread and unseen.
--
-- Ids are UUIDv7 made by the application. Times have milliseconds, as JavaScript has: a cursor keeps them exactly.

-- ── notifications: title and actor are snapshots; a later rename does not change them ──────────────────────
create table notifications (
  org_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  kind text not null,
  title text not null,
  task_id uuid,
  actor_id uuid,
  fact_id uuid not null,
  read_at timestamptz(3),
  seen_at timestamptz(3),
  created_at timestamptz(3) not null default now(),
  version integer not null default 1,
  primary key (org_id, id),
  -- A fact delivered twice makes one notice for each person.
  constraint notifications_fact_key unique (org_id, user_id, fact_id),
  constraint notifications_kind_form check (kind ~ '^[A-Z][A-Z_]{0,63}$'),
  constraint notifications_title_length check (char_length(title) between 1 and 600),
  constraint notifications_read_is_seen check (read_at is null or seen_at is not null),
  constraint notifications_version_positive check (version > 0)
);
comment on column notifications.user_id is 'owned by user: members.id';
comment on column notifications.task_id is 'owned by task: tasks.id';
comment on column notifications.actor_id is 'owned by user: members.id';
comment on column notifications.fact_id is 'the fact it was made from; its source is task';
-- Lists: the inbox, and the unread part of it. Unseen: for marking and for counting afresh.
create index notifications_created_at_idx on notifications (org_id, user_id, created_at, id);
create index notifications_unread_idx on notifications (org_id, user_id, created_at, id) where read_at is null;
create index notifications_unseen_idx on notifications (org_id, user_id, created_at, id) where seen_at is null;

-- ── notification_counts: one row per person, locked by whoever changes that person's notices ───────────────
-- So the counts in a fact are exact, and facts about one inbox have an order: version.
create table notification_counts (
  org_id uuid not null,
  user_id uuid not null,
  unread integer not null default 0,
  unseen integer not null default 0,
  version integer not null default 0,
  primary key (org_id, user_id),
  constraint notification_counts_unread_count check (unread >= 0),
  constraint notification_counts_unseen_count check (unseen >= 0)
);
comment on column notification_counts.user_id is 'owned by user: members.id';

-- ── the second wall: forced row security with one policy per role, on every tenant table of this file ──────
-- The tenant policy is loud: without a context current_setting raises, with garbage the cast does.
do $$
declare
  name text;
begin
  foreach name in array array[
    'notifications', 'notification_counts'
  ] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy %I on %I to taskflow_notification_app
         using (org_id = (select current_setting(''app.org_id'')::uuid))
         with check (org_id = (select current_setting(''app.org_id'')::uuid))', name || '_tenant', name);
    execute format('create policy %I on %I to taskflow_notification_owner using (true) with check (true)', name || '_owner', name);
  end loop;
end $$;

grant select, insert, update on notifications, notification_counts to taskflow_notification_app;
