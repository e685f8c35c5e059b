/** Figures as tables: Markdown, so that they can be pasted into a README. */
import type { Figures, Schedule } from './load.ts';

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

export const scheduleText = ({ rounds, seconds, concurrency }: Schedule) =>
  `median of ${rounds} interleaved rounds of ${seconds} s, ${concurrency} connections`;

export const FIGURES_HEAD = ['requests/s', 'slowest – fastest round', 'p50', 'p99'];

export const figuresCells = (figures: Figures) => [
  whole(figures.requestsPerSecond),
  `${whole(figures.slowestRound)} – ${whole(figures.fastestRound)}`,
  ms(figures.p50Ms),
  ms(figures.p99Ms),
];

/** Two contenders and, in the last row, how the first stands to the second. */
export function pairTable(
  what: string,
  figures: readonly Figures[],
  [one, other]: readonly [Figures | undefined, Figures | undefined],
) {
  const { requestsPerSecond, p50Ms, p99Ms } = ratiosOf(one, other);
  return table(
    [what, ...FIGURES_HEAD],
    [
      ...figures.map((contender) => [contender.name, ...figuresCells(contender)]),
      [`${one?.name} ÷ ${other?.name}`, times(requestsPerSecond), '', times(p50Ms), times(p99Ms)],
    ],
  );
}

export const whole = (value: number) => Math.round(value).toLocaleString('en-US');
export const ms = (value: number) => `${value.toFixed(1)} ms`;
export const times = (value: number) => `${value.toFixed(2)} ×`;

/** Columns as wide as their widest cell; the first one left-aligned, all others right-aligned. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (i === 0 ? (cells[i] ?? '').padEnd(width) : (cells[i] ?? '').padStart(width))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
