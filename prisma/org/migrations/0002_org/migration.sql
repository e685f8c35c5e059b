-- Organisations, the tree of teams, projects, and the little this service knows of members and tasks.
--
-- Ids are UUIDv7 made by the application. Times have milliseconds, as JavaScript has: a cursor keeps them exactly.
-- Names are collated by ICU, so that a list by name reads as a person expects.

-- ── organizations: the id is org_id itself ─────────────────────────────────────────────────────────────────
create table organizations (
  org_id uuid primary key,
  name text not null,
  slug text not null,
  task_visibility text not null default 'ASSIGNED',
  founder_id uuid,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  archived_at timestamptz(3),
  version integer not null default 1,
  constraint organizations_name_length check (char_length(name) between 1 and 200),
  constraint organizations_slug_length check (char_length(slug) between 1 and 100),
  constraint organizations_task_visibility_values check (task_visibility in ('ASSIGNED', 'PROJECT')),
  constraint organizations_version_positive check (version > 0)
);
-- Absent on purpose: a unique slug. Uniques look past row security, and one across tenants would tell who exists.
comment on column organizations.org_id is 'made by user at register; the organisation''s only id';
comment on column organizations.founder_id is 'owned by user: members.id';

-- ── teams: a tree by self reference; every way up ends, which the domain holds (it locks the organisation) ─
create table teams (
  org_id uuid not null,
  id uuid not null,
  parent_team_id uuid,
  name text collate "und-x-icu" not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  archived_at timestamptz(3),
  version integer not null default 1,
  primary key (org_id, id),
  constraint teams_organization_fkey foreign key (org_id) references organizations (org_id),
  constraint teams_parent_fkey foreign key (org_id, parent_team_id) references teams (org_id, id),
  constraint teams_parent_is_another check (parent_team_id <> id),
  constraint teams_name_length check (char_length(name) between 1 and 200),
  constraint teams_version_positive check (version > 0)
);
-- Lists: by name, by age, and the children of one.
create index teams_name_idx on teams (org_id, name, id);
create index teams_created_at_idx on teams (org_id, created_at, id);
create index teams_parent_team_id_idx on teams (org_id, parent_team_id);

-- ── team_members: who was when in which team; leaving sets left_at, joining again makes a new row ──────────
create table team_members (
  org_id uuid not null,
  id uuid not null,
  team_id uuid not null,
  user_id uuid not null,
  role text not null,
  added_by uuid,
  joined_at timestamptz(3) not null default now(),
  left_at timestamptz(3),
  version integer not null default 1,
  primary key (org_id, id),
  constraint team_members_team_fkey foreign key (org_id, team_id) references teams (org_id, id),
  constraint team_members_role_values check (role in ('MEMBER', 'MANAGER')),
  constraint team_members_left_after_joining check (left_at >= joined_at),
  constraint team_members_version_positive check (version > 0)
);
comment on column team_members.user_id is 'owned by user: members.id';
comment on column team_members.added_by is 'owned by user: members.id';
create unique index team_members_active_key on team_members (org_id, team_id, user_id) where left_at is null;
-- Lists: a team's members by joining, those of now and all there were; a person's teams.
create index team_members_active_joined_at_idx on team_members (org_id, team_id, joined_at, id) where left_at is null;
create index team_members_joined_at_idx on team_members (org_id, team_id, joined_at, id);
create index team_members_active_user_id_idx on team_members (org_id, user_id) where left_at is null;

-- ── projects ───────────────────────────────────────────────────────────────────────────────────────────────
-- The three counts follow from task_progress; whoever changes that table locks the project's row and sets them.
create table projects (
  org_id uuid not null,
  id uuid not null,
  key text not null,
  name text collate "und-x-icu" not null,
  task_count integer not null default 0,
  done_count integer not null default 0,
  progress integer not null default 0,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  archived_at timestamptz(3),
  version integer not null default 1,
  primary key (org_id, id),
  constraint projects_organization_fkey foreign key (org_id) references organizations (org_id),
  constraint projects_key_key unique (org_id, key),
  constraint projects_key_form check (key ~ '^[A-Z][A-Z0-9]{1,9}$'),
  -- The prefix of tasks that belong to no project.
  constraint projects_key_not_reserved check (key <> 'TASK'),
  constraint projects_name_length check (char_length(name) between 1 and 200),
  constraint projects_progress_percent check (progress between 0 and 100),
  constraint projects_counts check (done_count between 0 and task_count),
  constraint projects_version_positive check (version > 0)
);
create index projects_name_idx on projects (org_id, name, id);
create index projects_created_at_idx on projects (org_id, created_at, id);

-- ── project_teams: which team works on which project, who assigned it and when ─────────────────────────────
create table project_teams (
  org_id uuid not null,
  id uuid not null,
  project_id uuid not null,
  team_id uuid not null,
  assigned_by uuid,
  assigned_at timestamptz(3) not null default now(),
  removed_by uuid,
  removed_at timestamptz(3),
  primary key (org_id, id),
  constraint project_teams_project_fkey foreign key (org_id, project_id) references projects (org_id, id),
  constraint project_teams_team_fkey foreign key (org_id, team_id) references teams (org_id, id),
  constraint project_teams_removed_after_assigned check (removed_at >= assigned_at)
);
comment on column project_teams.assigned_by is 'owned by user: members.id';
comment on column project_teams.removed_by is 'owned by user: members.id';
create unique index project_teams_active_key on project_teams (org_id, project_id, team_id) where removed_at is null;
create index project_teams_active_team_id_idx on project_teams (org_id, team_id) where removed_at is null;

-- ── projections: kept by the facts of other services, applied only when their version is newer ─────────────
-- Absent on purpose: CHECKs on their values and foreign keys between them. Their owner checked them, facts of
-- different things come in any order, and a value this release does not know must not stop the stream.
create table members (
  org_id uuid not null,
  id uuid not null,
  name text not null,
  email text not null,
  role text not null,
  status text not null,
  version integer not null,
  primary key (org_id, id)
);
comment on table members is 'projection of user: members';

-- What each task adds to its project's progress. Deleted ones stay, so that a late fact finds the newer version.
create table task_progress (
  org_id uuid not null,
  task_id uuid not null,
  project_id uuid,
  is_done boolean not null,
  is_deleted boolean not null,
  version integer not null,
  primary key (org_id, task_id)
);
comment on table task_progress is 'projection of task: tasks';
create index task_progress_project_id_idx on task_progress (org_id, project_id) where not is_deleted;

-- ── the second wall: forced row security with one policy per role, on every tenant table of this file ──────
-- The tenant policy is loud: without a context current_setting raises, with garbage the cast does.
do $$
declare
  name text;
begin
  foreach name in array array[
    'organizations', 'teams', 'team_members', 'projects', 'project_teams', 'members', 'task_progress'
  ] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy %I on %I to taskflow_org_app
         using (org_id = (select current_setting(''app.org_id'')::uuid))
         with check (org_id = (select current_setting(''app.org_id'')::uuid))', name || '_tenant', name);
    execute format('create policy %I on %I to taskflow_org_owner using (true) with check (true)', name || '_owner', name);
  end loop;
end $$;

grant select, insert, update on organizations, teams, team_members, projects, project_teams, members, task_progress
  to taskflow_org_app;
