-- Tasks, and the projections by which this service decides who may see and touch them.
--
-- Ids are UUIDv7 made by the application or the client. Times have milliseconds, as JavaScript has: a cursor keeps
-- them exactly. Status and priority are text with a CHECK: under row security an enum's operators cannot use an index.

-- ── task_counters: the next number of each key prefix (a project's key, or TASK for tasks of no project) ───
create table task_counters (
  org_id uuid not null,
  prefix text not null,
  last_number integer not null,
  primary key (org_id, prefix),
  constraint task_counters_prefix_form check (prefix ~ '^[A-Z][A-Z0-9]{1,9}$'),
  constraint task_counters_number_positive check (last_number > 0)
);

-- ── tasks ──────────────────────────────────────────────────────────────────────────────────────────────────
create table tasks (
  org_id uuid not null,
  id uuid not null,
  number integer not null,
  key text not null,
  title text not null,
  description text,
  status text not null default 'TODO',
  priority text not null default 'NONE',
  tags text[] not null default '{}',
  assignee_id uuid,
  creator_id uuid not null,
  project_id uuid,
  due_at timestamptz(3),
  -- The order by due date: undated tasks come last in both directions. A plain value that is never null serves the
  -- list, its cursor and the filter alike.
  due_order_asc timestamptz(3) not null generated always as (coalesce(due_at, 'infinity'::timestamptz)) stored,
  due_order_desc timestamptz(3) not null generated always as (coalesce(due_at, '-infinity'::timestamptz)) stored,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  archived_at timestamptz(3),
  deleted_at timestamptz(3),
  version integer not null default 1,
  tsv tsvector generated always as (
    setweight(to_tsvector('simple', key || ' ' || title), 'A')
    || setweight(to_tsvector('simple', coalesce(description, '')), 'B')
  ) stored,
  primary key (org_id, id),
  constraint tasks_key_key unique (org_id, key),
  constraint tasks_key_ends_with_number check (key ~ '^[A-Z][A-Z0-9]{1,9}-[0-9]+$' and split_part(key, '-', 2) = number::text),
  constraint tasks_title_length check (char_length(title) between 1 and 500),
  constraint tasks_description_length check (char_length(description) <= 20000),
  constraint tasks_status_values check (status in ('BACKLOG', 'TODO', 'IN_PROGRESS', 'IN_REVIEW', 'DONE', 'CANCELED')),
  constraint tasks_priority_values check (priority in ('NONE', 'LOW', 'MEDIUM', 'HIGH', 'URGENT')),
  constraint tasks_tags_count check (cardinality(tags) <= 50 and array_position(tags, null) is null),
  constraint tasks_tags_length check (char_length(array_to_string(tags, '')) <= 50 * 64),
  constraint tasks_due_at_is_a_time check (isfinite(due_at)),
  constraint tasks_version_positive check (version > 0)
);
comment on column tasks.assignee_id is 'owned by user: members.id';
comment on column tasks.creator_id is 'owned by user: members.id';
comment on column tasks.project_id is 'owned by org: projects.id';

-- Every list's order, within the organisation and within what narrows it. Deleted tasks are in none.
create index tasks_created_at_idx on tasks (org_id, created_at, id) where deleted_at is null;
create index tasks_updated_at_idx on tasks (org_id, updated_at, id) where deleted_at is null;
create index tasks_due_order_asc_idx on tasks (org_id, due_order_asc, id) where deleted_at is null;
create index tasks_due_order_desc_idx on tasks (org_id, due_order_desc, id) where deleted_at is null;
create index tasks_project_id_idx on tasks (org_id, project_id, created_at, id) where deleted_at is null;
create index tasks_assignee_id_idx on tasks (org_id, assignee_id, created_at, id) where deleted_at is null;
create index tasks_creator_id_idx on tasks (org_id, creator_id, created_at, id) where deleted_at is null;
create index tasks_status_idx on tasks (org_id, status, created_at, id) where deleted_at is null;
-- User.openTaskCount.
create index tasks_open_assignee_id_idx on tasks (org_id, assignee_id)
  where deleted_at is null and status not in ('DONE', 'CANCELED');
-- Text and tags. Only the owner's functions below can use them: @@ and @> are not leakproof. btree_gin puts the tenant
-- first; the bootstrap makes the extension.
create index tasks_tsv_idx on tasks using gin (org_id, tsv) where deleted_at is null;
create index tasks_tags_idx on tasks using gin (org_id, tags) where deleted_at is null;

-- ── projections: kept by the facts of user and org, applied only when their version is newer ───────────────
-- Absent on purpose: CHECKs on their values and foreign keys between them. Their owner checked them, facts of
-- different things come in any order, and a value this release does not know must not stop the stream.
create table members (
  org_id uuid not null,
  id uuid not null,
  name text not null,
  role text not null,
  status text not null,
  version integer not null,
  primary key (org_id, id)
);
comment on table members is 'projection of user: members';

create table organization_settings (
  org_id uuid primary key,
  task_visibility text not null,
  version integer not null
);
comment on table organization_settings is 'projection of org: organizations';

create table teams (
  org_id uuid not null,
  id uuid not null,
  parent_team_id uuid,
  name text not null,
  version integer not null,
  primary key (org_id, id)
);
comment on table teams is 'projection of org: teams';

-- One row per stay, as in org: who left and joined again has two, and at most one without left_at.
create table team_members (
  org_id uuid not null,
  id uuid not null,
  team_id uuid not null,
  user_id uuid not null,
  role text not null,
  left_at timestamptz(3),
  version integer not null,
  primary key (org_id, id)
);
comment on table team_members is 'projection of org: team_members';
create index team_members_active_user_id_idx on team_members (org_id, user_id, role, team_id) where left_at is null;
create index team_members_active_team_id_idx on team_members (org_id, team_id, user_id) where left_at is null;

create table projects (
  org_id uuid not null,
  id uuid not null,
  key text not null,
  name text not null,
  version integer not null,
  primary key (org_id, id)
);
comment on table projects is 'projection of org: projects';

-- A project's teams come with its fact as a whole set: replaced under the version of projects.
create table project_teams (
  org_id uuid not null,
  project_id uuid not null,
  team_id uuid not null,
  primary key (org_id, project_id, team_id)
);
comment on table project_teams is 'projection of org: project_teams, those of now';
create index project_teams_team_id_idx on project_teams (org_id, team_id, project_id);

-- ── the second wall: forced row security with one policy per role, on every tenant table of this file ──────
-- The tenant policy is loud: without a context current_setting raises, with garbage the cast does.
do $$
declare
  name text;
begin
  foreach name in array array[
    'task_counters', 'tasks', 'members', 'organization_settings', 'teams', 'team_members', 'projects', 'project_teams'
  ] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy %I on %I to taskflow_task_app
         using (org_id = (select current_setting(''app.org_id'')::uuid))
         with check (org_id = (select current_setting(''app.org_id'')::uuid))', name || '_tenant', name);
    execute format('create policy %I on %I to taskflow_task_owner using (true) with check (true)', name || '_owner', name);
  end loop;
end $$;

grant select, insert, update on
  task_counters, tasks, members, organization_settings, teams, team_members, projects, project_teams to taskflow_task_app;
grant delete on project_teams to taskflow_task_app;

-- ── searching past row security: narrow to candidate ids, then the caller reads them under it ──────────────
-- As owner, over a policy that is always true, the GIN indexes serve. The tenant is read here and is no argument;
-- visibility within the tenant is the caller's, on the rows: never answer these ids to a client.

-- Ids of the tenant's tasks, not deleted, that match words as websearch_to_tsquery reads them.
create function search_task_ids(words text) returns setof uuid
  language sql stable security definer set search_path = '' rows 200 as $$
  select t.id from public.tasks t
  where t.org_id = (select pg_catalog.current_setting('app.org_id')::pg_catalog.uuid)
    and t.deleted_at is null
    and t.tsv operator(pg_catalog.@@) pg_catalog.websearch_to_tsquery('pg_catalog.simple', words)
$$;

-- Ids of the tenant's tasks, not deleted, that carry every one of the tags.
create function task_ids_with_all_tags(wanted text[]) returns setof uuid
  language sql stable security definer set search_path = '' rows 200 as $$
  select t.id from public.tasks t
  where t.org_id = (select pg_catalog.current_setting('app.org_id')::pg_catalog.uuid)
    and t.deleted_at is null
    and t.tags operator(pg_catalog.@>) wanted
$$;

-- Ids of the tenant's tasks, not deleted, that carry at least one of the tags.
create function task_ids_with_any_tag(wanted text[]) returns setof uuid
  language sql stable security definer set search_path = '' rows 200 as $$
  select t.id from public.tasks t
  where t.org_id = (select pg_catalog.current_setting('app.org_id')::pg_catalog.uuid)
    and t.deleted_at is null
    and t.tags operator(pg_catalog.&&) wanted
$$;

revoke execute on function search_task_ids(text), task_ids_with_all_tags(text[]), task_ids_with_any_tag(text[]) from public;
grant execute on function search_task_ids(text), task_ids_with_all_tags(text[]), task_ids_with_any_tag(text[])
  to taskflow_task_app;
