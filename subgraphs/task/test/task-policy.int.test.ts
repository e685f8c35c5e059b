/** The rule of visibility is said twice, as a predicate and in SQL. Here the two are held equal over random worlds. */
import { randomUUID } from 'node:crypto';
import type { Role } from '@taskflow/kit/identity';
import { aDatabase } from '@taskflow/tests/kit/postgres';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type Database } from '../src/data/database.ts';
import { createTaskStore } from '../src/data/store.ts';
import { canDelete, canSee, canUpdate, sightOf, visibleTo } from '../src/domain/task-policy.ts';
import { viewerOf } from './fixture.ts';

let database: Database;
let admin: pg.Pool;
beforeAll(async () => {
  const { appUrl, systemUrl, adminUrl } = await aDatabase('task');
  database = createDatabase({ url: appUrl, systemUrl, poolSize: 2, systemPoolSize: 1 });
  admin = new pg.Pool({ connectionString: adminUrl, max: 1 });
  admin.on('error', () => {});
});
afterAll(async () => {
  await database.close();
  await admin.end();
});

const ROLES: readonly Role[] = ['ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST'];
const PEOPLE = 3;
const TEAMS = 3;
const PROJECTS = 3;

const someone = fc.nat({ max: PEOPLE - 1 });
const team = fc.nat({ max: TEAMS - 1 });
const project = fc.nat({ max: PROJECTS - 1 });

const worlds = fc.record({
  taskVisibility: fc.constantFrom(null, 'ASSIGNED', 'PROJECT', 'LATER_VALUE'),
  stays: fc.uniqueArray(
    fc.record({ person: someone, team, role: fc.constantFrom('MEMBER', 'MANAGER'), hasLeft: fc.boolean() }),
    { maxLength: 6, selector: (stay) => `${stay.person} ${stay.team}` },
  ),
  projectTeams: fc.uniqueArray(fc.tuple(project, team), { maxLength: 6, selector: String }),
  tasks: fc.array(
    fc.record({
      creator: someone,
      assignee: fc.option(someone),
      project: fc.option(project),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

const ids = (count: number) => Array.from({ length: count }, () => randomUUID());
const json = (rows: object[]) => [JSON.stringify(rows)];

test('what the SQL finds is what the predicate says, for every role in 60 random worlds', async () => {
  const store = createTaskStore(database);
  await fc.assert(
    fc.asyncProperty(worlds, async ({ taskVisibility, stays, projectTeams, tasks }) => {
      const orgId = randomUUID();
      const [people, teams, projects] = [ids(PEOPLE), ids(TEAMS), ids(PROJECTS)];
      if (taskVisibility) {
        await admin.query('insert into organization_settings values ($1, $2, 1)', [orgId, taskVisibility]);
      }
      const stayRows = stays.map((stay) => ({
        ...{ org_id: orgId, id: randomUUID(), version: 1, role: stay.role },
        ...{ user_id: people[stay.person], team_id: teams[stay.team] },
        left_at: stay.hasLeft ? new Date() : null,
      }));
      await admin.query(
        'insert into team_members select * from jsonb_populate_recordset(null::team_members, $1)',
        json(stayRows),
      );
      const links = projectTeams.map(([p, t]) => ({
        ...{ org_id: orgId, project_id: projects[p], team_id: teams[t] },
      }));
      await admin.query(
        'insert into project_teams select * from jsonb_populate_recordset(null::project_teams, $1)',
        json(links),
      );
      const taskRows = tasks.map((task, index) => ({
        ...{ id: randomUUID(), number: index + 1, creator_id: people[task.creator] },
        assignee_id: task.assignee === null ? null : people[task.assignee],
        project_id: task.project === null ? null : projects[task.project],
      }));
      await admin.query(
        `insert into tasks (org_id, id, number, key, title, creator_id, assignee_id, project_id)
           select '${orgId}', id, number, 'TASK-' || number, 'x', creator_id, assignee_id, project_id
           from jsonb_to_recordset($1) as r (id uuid, number int, creator_id uuid, assignee_id uuid, project_id uuid)`,
        json(taskRows),
      );
      const taskIds = taskRows.map(({ id }) => id);
      const everyTask = await store.tasks.findMany({ orgId }, taskIds, () => 'true');
      expect(everyTask).toHaveLength(taskIds.length);

      for (const role of ROLES) {
        for (const userId of people) {
          const viewer = { ...viewerOf(orgId, role), userId };
          const found = await store.tasks.findMany(viewer, taskIds, visibleTo(viewer));
          const sight = sightOf(viewer, await store.projects.ofPerson(viewer, userId));
          const said = everyTask.filter((task) => canSee(sight, task));
          expect(found.map(({ id }) => id).sort(), role).toEqual(said.map(({ id }) => id).sort());
          for (const task of everyTask) {
            // Nobody may change what they do not see, nor delete what they may not change.
            if (canUpdate(sight, task)) expect(canSee(sight, task)).toBe(true);
            if (canDelete(sight, task)) expect(canUpdate(sight, task)).toBe(true);
          }
        }
      }
    }),
    { numRuns: 60 },
  );
}, 120_000);
