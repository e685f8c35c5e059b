import { startInstallation } from '../installation.ts';
import { type PartContext, type PartResult, scheduleOf } from '../part.ts';
import { pairTable, ratiosOf, scheduleText, whole } from '../tables.ts';
import { makeTenant } from '../tenant.ts';
import { compareLists, LATER_PAGE, PAGE_SIZE } from './pages.ts';
import { compareRowSecurity } from './row-security.ts';

/** As many as the pool of a subgraph has, or fewer: its queue is not what is measured. */
const CONNECTIONS = 8;

export async function run({ dir, options, stops, say }: PartContext): Promise<PartResult> {
  say('starting PostgreSQL, Redis, the four subgraphs and the router');
  const installation = await startInstallation(dir, stops);
  stops.checkpoint();
  const { tasks, tenants } = options;
  say(`inserting ${whole(tasks)} tasks of ${whole(tenants)} organisations`);
  const tenant = await makeTenant(installation, { tasks, tenants, pages: LATER_PAGE * PAGE_SIZE });
  stops.checkpoint();
  const schedule = scheduleOf(options, CONNECTIONS, 2);
  say(`page 1 beside page ${LATER_PAGE}`);
  const pages = await compareLists(installation, tenant, schedule, stops);
  stops.checkpoint();
  say('the same statement with row security and without');
  const rowSecurity = await compareRowSecurity(installation, tenant, schedule, stops);
  stops.checkpoint();
  return {
    result: {
      tasks,
      tenants,
      pages,
      laterToFirst: ratiosOf(pages[1], pages[0]),
      rowSecurity,
      withToWithout: ratiosOf(rowSecurity[0], rowSecurity[1]),
    },
    tables: [
      `\`tasks(first: ${PAGE_SIZE})\` with assignee and project, router to disk, ${whole(tasks)} tasks of ` +
        `${whole(tenants)} organisations, ${whole(tenant.tasks)} of them the reader’s: ${scheduleText(schedule)}`,
      pairTable('list', pages, [pages[1], pages[0]]),
      `Row-level security, a list of 20 rows in SQL: ${scheduleText(schedule)}`,
      pairTable('pool', rowSecurity, [rowSecurity[0], rowSecurity[1]]),
    ],
  };
}
