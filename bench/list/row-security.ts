/**
 * What the second wall costs: one statement, the very one that the task service sends for a list of 20 rows, through its
 * pool (context and row security) beside plain pg as the administrator, whom row security does not hold. Both name
 * their prepared statement, both have equally many connections.
 */

import { createClient } from '@taskflow/dev/client';
import type { Stops } from '@taskflow/dev/stops';
import { TenantPool, withTenant } from '@taskflow/kit/tenant-pool';
import pg from 'pg';
import type { Installation } from '../installation.ts';
import { compare, type Figures, type Schedule } from '../load.ts';
import type { Tenant } from '../tenant.ts';

const ROWS = 20;

export async function compareRowSecurity(
  installation: Installation,
  tenant: Tenant,
  schedule: Schedule,
  stops: Stops,
): Promise<Figures[]> {
  const text = await statementOf(installation, tenant);
  const max = schedule.concurrency;
  const walled = new TenantPool({ connectionString: installation.taskUrl, max });
  await stops.add('the pool under test', () => walled.end());
  const plain = new pg.Pool({ connectionString: installation.adminUrlOf('task'), max });
  await stops.add('the plain pool', () => plain.end());
  const values = [tenant.orgId];
  const expectRows = ({ rows }: pg.QueryResult) => {
    if (rows.length !== ROWS) throw new Error(`${rows.length} rows instead of ${ROWS}`);
  };
  const contenders = [
    {
      name: 'with row security',
      send: () =>
        withTenant({ orgId: tenant.orgId }, async () => expectRows(await walled.query(text, values))),
    },
    {
      name: 'without',
      send: async () => expectRows(await plain.query({ name: 'list', text, values })),
    },
  ];
  return compare(contenders, schedule);
}

/** Asks the service for the list and looks at what it sends. A list asks for one row more, to know of a next page. */
async function statementOf(installation: Installation, { tokens }: Tenant): Promise<string> {
  installation.takeTaskStatements();
  await createClient(installation.url, tokens.founder).request(
    `query List { tasks(first: ${ROWS - 1}) { nodes { id } } }`,
  );
  const lists = installation.takeTaskStatements().filter((text) => text.includes('from tasks t'));
  const [text = ''] = lists;
  if (lists.length !== 1 || !text.includes('$1') || text.includes('$2')) {
    throw new Error(`the list is not one statement of one parameter any more: ${lists.join(';\n')}`);
  }
  return text;
}
