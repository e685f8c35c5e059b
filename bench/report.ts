/** The result of a run as tables: Markdown, so that they can be pasted into a README. */
import type { Figures, Schedule } from './load.ts';
import type { LoginResult, Telling } from './login/timing.ts';
import type { RouterResult } from './router/compare.ts';
import type { WholeResult } from './whole/measure.ts';

export interface Result {
  machine: Record<string, string | number>;
  schedules: { router: Schedule; whole: Schedule };
  /** Null where `--only` left a part out. */
  router: RouterResult | null;
  whole: WholeResult | null;
  login: LoginResult | null;
}

/** How a contender stands to another: above 1 it does more, takes longer or uses more. */
export interface Ratios {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpuMs: number | null;
}

export function ratiosOf(figures: Figures | undefined, to: Figures | undefined): Ratios {
  if (!figures || !to) throw new Error('there is nothing to compare with');
  return {
    requestsPerSecond: figures.requestsPerSecond / to.requestsPerSecond,
    p50Ms: figures.p50Ms / to.p50Ms,
    p99Ms: figures.p99Ms / to.p99Ms,
    cpuMs: figures.cpuMs === null || to.cpuMs === null ? null : figures.cpuMs / to.cpuMs,
  };
}

/** The same with the ratios beside the figures, for `--json`. */
export function withRatios({ router, whole, ...result }: Result) {
  return {
    ...result,
    router: router && {
      ...router,
      operations: router.operations.map((operation) => ({
        ...operation,
        taskflowToStock: ratiosOf(operation.figures[0], operation.figures[1]),
      })),
    },
    whole: whole && {
      ...whole,
      laterPageToFirst: ratiosOf(whole.lists[1], whole.lists[0]),
      rowSecurityToNone: ratiosOf(whole.rowSecurity[0], whole.rowSecurity[1]),
    },
  };
}

export function tablesOf({ machine, schedules, router, whole, login }: Result): string {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  const parts = [facts.join(' · ')];
  if (router) parts.push(routerTable(router, schedules.router));
  if (whole) parts.push(...wholeTables(whole, schedules.whole));
  if (login) parts.push(loginTable(login));
  return `${parts.join('\n\n')}\n`;
}

const scheduleText = ({ rounds, seconds, concurrency }: Schedule) =>
  `median of ${rounds} interleaved rounds of ${seconds} s, ${concurrency} connections`;

const FIGURES_HEAD = ['requests/s', 'slowest – fastest round', 'p50', 'p99'];

const figuresCells = (figures: Figures) => [
  whole(figures.requestsPerSecond),
  `${whole(figures.slowestRound)} – ${whole(figures.fastestRound)}`,
  ms(figures.p50Ms),
  ms(figures.p99Ms),
];

function routerTable(router: RouterResult, schedule: Schedule): string {
  const rows = router.operations.flatMap(({ name, figures: [ours, stock] }) => {
    if (!ours || !stock) return [];
    const ratios = ratiosOf(ours, stock);
    const cpu = (figures: Figures) => (figures.cpuMs === null ? '–' : `${figures.cpuMs.toFixed(2)} ms`);
    return [
      [`(${name})`, stock.name, ...figuresCells(stock), cpu(stock)],
      ['', ours.name, ...figuresCells(ours), cpu(ours)],
      [
        '',
        'taskflow ÷ stock',
        times(ratios.requestsPerSecond),
        '',
        times(ratios.p50Ms),
        times(ratios.p99Ms),
      ].concat(ratios.cpuMs === null ? '–' : times(ratios.cpuMs)),
    ];
  });
  const memory = Object.entries(router.peakMemoryMb).map(
    ([name, mb]) => `${name} ${mb === null ? 'unknown' : `${mb.toFixed(0)} MB`}`,
  );
  return [
    `Router beside stock: ${scheduleText(schedule)}`,
    table(['operation', 'gateway', ...FIGURES_HEAD, 'CPU a request'], rows),
    router.operations
      .map(({ name, about, answerBytes }) => `(${name}) ${about}; ${answerBytes} bytes`)
      .join('\n'),
    `Peak memory: ${memory.join(', ')}. The load generator straight at a subgraph, operation (a): ` +
      `${whole(router.ceiling.requestsPerSecond)} requests/s.`,
  ].join('\n\n');
}

function wholeTables({ tasks, lists, frames, rowSecurity }: WholeResult, schedule: Schedule): string[] {
  const [first, later] = lists;
  const pages = ratiosOf(later, first);
  const walls = ratiosOf(rowSecurity[0], rowSecurity[1]);
  const ratioRow = (name: string, { requestsPerSecond, p50Ms, p99Ms }: Ratios) => [
    name,
    times(requestsPerSecond),
    '',
    times(p50Ms),
    times(p99Ms),
  ];
  const { sinceDueMs, sinceAnswerMs } = frames;
  return [
    `\`tasks(first: 50)\` with assignee and project, router to disk, of ${tasks} tasks: ${scheduleText(schedule)}`,
    table(
      ['list', ...FIGURES_HEAD],
      [
        ...lists.map((figures) => [figures.name, ...figuresCells(figures)]),
        ratioRow(`${later?.name} ÷ ${first?.name}`, pages),
      ],
    ),
    `Mutation to frame at another client: ${frames.mutations} mutations, ${frames.mutationsPerSecond} a second`,
    table(
      ['the latency from the commit on is', 'p50', 'p99'],
      [
        ['below: since the mutation was due', ms(sinceDueMs.p50), ms(sinceDueMs.p99)],
        ['above: since the mutation was answered', ms(sinceAnswerMs.p50), ms(sinceAnswerMs.p99)],
      ],
    ),
    `Row-level security, a list of 20 rows in SQL: ${scheduleText(schedule)}`,
    table(
      ['pool', ...FIGURES_HEAD],
      [
        ...rowSecurity.map((figures) => [figures.name, ...figuresCells(figures)]),
        ratioRow('with ÷ without', walls),
      ],
    ),
  ];
}

function loginTable({ logins, signIn, resetRequest }: LoginResult): string {
  const exactly = (value: number) => `${value.toFixed(2)} ms`;
  const rowsOf = (what: string, { figures }: Telling) =>
    figures.map(({ name, p25Ms, p50Ms, p75Ms }, n) => [
      ...[n === 0 ? what : '', name],
      ...[p25Ms, p50Ms, p75Ms].map(exactly),
    ]);
  const said = (what: string, { difference, guess }: Telling) =>
    `${what}: the medians differ by ${(100 * difference).toFixed(1)} %; of a known and an unknown one the known took ` +
    `longer in ${(100 * guess).toFixed(1)} % of all pairs (50 % say nothing at all).`;
  return [
    `What the time of an answer tells, through the router: ${logins} of each kind, in turns`,
    table(
      ['request', 'address', 'p25', 'p50', 'p75'],
      [...rowsOf('refused sign-in', signIn), ...rowsOf('passwordResetRequest', resetRequest)],
    ),
    [said('Refused sign-in', signIn), said('passwordResetRequest', resetRequest)].join('\n'),
  ].join('\n\n');
}

const whole = (value: number) => Math.round(value).toLocaleString('en-US');
const ms = (value: number) => `${value.toFixed(1)} ms`;
const times = (value: number) => `${value.toFixed(2)} ×`;

/** Columns as wide as their widest cell; the first one left-aligned, all others right-aligned. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (i === 0 ? (cells[i] ?? '').padEnd(width) : (cells[i] ?? '').padStart(width))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
