/**
 * `audit verify` and `audit export` of one subgraph, for its `src/commands/`: they work on the database alone, whether the
 * service runs or not.
 */
import { parseArgs } from 'node:util';
import { recordAudit } from './audit.ts';
import { type AuditFormat, headerOf, textOf } from './audit-export.ts';
import { allLines } from './audit-log.ts';
import type { AuditKeeping } from './audit-retention.ts';
import { type AuditReport, verifyAudit } from './audit-verify.ts';
import { type OperatorCommand, UsageError } from './command.ts';
import { isUuid } from './filter.ts';
import { createSystemPool, type Sql, sqlOf } from './sql.ts';

/** From the environment: where the system role logs in, and the keys of checkpoints. */
type Open = (env: NodeJS.ProcessEnv) => { systemUrl: string; keeping: AuditKeeping };

type Pool = ReturnType<typeof createSystemPool>;

/** One line a tenant, and what is wrong below it. Fails when anything is. `source` is the subgraph. */
export const auditVerify = (source: string, open: Open): OperatorCommand => ({
  summary: 'Computes the chains of the audit log anew and says whether anything was changed or removed.',
  usage: '[--organization ID] [--subgraph NAME]',
  onlyLooks: true,
  async run(args, { env, out }) {
    const { organization, subgraph } = optionsOf(args, ['organization', 'subgraph']);
    if (organization !== undefined && !isUuid(organization))
      throw new UsageError('--organization takes an id');
    if (subgraph !== undefined && subgraph !== source) return;
    const { systemUrl, keeping } = open(env);
    const damaged = await withPool(systemUrl, async (pool) => {
      const totals = { tenants: 0, entries: 0, damaged: 0 };
      const { ring } = keeping;
      for await (const report of verifyAudit(pool, { source, ring, organizationId: organization })) {
        totals.tenants += 1;
        totals.entries += report.entries;
        if (report.problems.length > 0) totals.damaged += 1;
        for (const line of linesOf(source, report)) out(line);
      }
      out(
        `${source}: ${totals.tenants} organisations, ${totals.entries} entries, ${totals.damaged} damaged chains`,
      );
      return totals.damaged;
    });
    if (damaged > 0) throw new Error(`the audit log of ${source} is damaged`);
  },
});

function linesOf(source: string, report: AuditReport): string[] {
  const { orgId, entries, sealed, unsealed, erased, checkpoint, head, firstBad, problems } = report;
  const counts = `entries ${entries}  sealed ${sealed}  unsealed ${unsealed}  erased ${erased}`;
  const chain = `from ${checkpoint + 1}  head ${head ? `${head.seq}:${head.hash}` : '-'}`;
  const verdict = firstBad === null ? 'whole' : `DAMAGED  first bad ${firstBad}`;
  return [
    `${source}  ${orgId}  ${counts}  ${chain}  ${verdict}`,
    ...problems.map((problem) => `  ${problem}`),
  ];
}

const FORMATS: Readonly<Record<string, AuditFormat>> = { csv: 'CSV', jsonl: 'JSON_LINES' };

/** The whole log of one organisation in one subgraph, oldest first. Is in the log itself. */
export const auditExport = (source: string, open: Open): OperatorCommand => ({
  summary: 'Writes the audit log of one organisation in one subgraph to the standard output.',
  usage: '--organization ID --subgraph user|org|task|notification [--format csv|jsonl]',
  async run(args, { env, out }) {
    const { organization, subgraph, format: name } = optionsOf(args, ['organization', 'subgraph', 'format']);
    const format = FORMATS[name ?? 'csv'];
    if (!format) throw new UsageError(`${name} is no format`);
    if (!isUuid(organization)) throw new UsageError('--organization takes an id');
    if (subgraph === undefined) throw new UsageError('--subgraph is missing');
    if (subgraph !== source) return;
    await withPool(open(env).systemUrl, async (pool) => {
      const sql = sqlOf(pool);
      await recordExport(sql, organization, format);
      const print = (text: string) => text !== '' && out(text.replace(/\n$/, ''));
      print(headerOf(format));
      for await (const lines of allLines(sql, organization)) {
        for (const line of lines) print(textOf(format, { ...line, subgraph: source }));
      }
    });
  },
});

async function recordExport(sql: Sql, orgId: string, format: AuditFormat): Promise<void> {
  const origin = { actorId: null, requestId: 'operator', address: null, userAgent: null };
  const target = { type: 'audit-log', id: orgId };
  await recordAudit(sql, orgId, origin, { action: 'audit-log.exported', target, after: { format } });
}

function optionsOf<K extends string>(args: readonly string[], names: readonly K[]) {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
    const { values } = parseArgs({ args: [...args], options });
    return values as Partial<Record<K, string>>;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function withPool<T>(systemUrl: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  // A walk over millions of entries takes its time.
  const pool = createSystemPool({ connectionString: systemUrl, max: 2, statement_timeout: 0 });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}
