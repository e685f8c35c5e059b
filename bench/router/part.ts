import { type PartContext, type PartResult, scheduleOf } from '../part.ts';
import { FIGURES_HEAD, figuresCells, scheduleText, table, times, whole } from '../tables.ts';
import { compareRouters, type RouterResult } from './compare.ts';
import { type GatewayName, kinds } from './gateways.ts';

export async function run({ dir, options, stops, say }: PartContext): Promise<PartResult> {
  const schedule = scheduleOf(options, options.connections);
  const { peers, gateways, operations: only } = options;
  const result = await compareRouters({ dir, schedule, peers, gateways, only, stops, say });
  const withRatios = {
    ...result,
    operations: result.operations.map((operation) => ({ ...operation, ratios: ratiosOf(operation) })),
  };
  return { result: withRatios, tables: tablesOf(result, scheduleText(schedule)) };
}

type Measured = RouterResult['operations'][number];

const rateOf = ({ figures }: Measured, gateway: GatewayName) =>
  figures.find(({ name }) => name === gateway)?.requestsPerSecond ?? null;

const quotient = (one: number | null, other: number | null) =>
  one === null || other === null ? null : one / other;

/** What the targets are about, as multiples of requests a second. */
function ratiosOf(operation: Measured) {
  const ours = rateOf(operation, 'taskflow');
  const hives = [rateOf(operation, 'hive'), rateOf(operation, 'hive-rust')].filter((rate) => rate !== null);
  return {
    toStock: quotient(ours, rateOf(operation, 'stock')),
    toTuned: quotient(ours, rateOf(operation, 'tuned')),
    toBestHive: hives.length === 0 ? null : quotient(ours, Math.max(...hives)),
    withAccounts: quotient(rateOf(operation, 'taskflow+'), ours),
    toBare: quotient(ours, rateOf(operation, 'bare')),
  };
}

const RATIOS: [keyof ReturnType<typeof ratiosOf>, string][] = [
  ['toStock', 'to stock'],
  ['toTuned', 'to tuned stock'],
  ['toBestHive', 'to the better Hive'],
  ['withAccounts', 'taskflow+ to taskflow'],
  ['toBare', 'to a bare server'],
];

function tablesOf(result: RouterResult, schedule: string): string[] {
  const ratios = result.operations.map((operation) => [
    `(${operation.name})`,
    ...RATIOS.map(([key]) => {
      const value = ratiosOf(operation)[key];
      return value === null ? '–' : times(value);
    }),
  ]);
  const figures = result.operations.flatMap((operation) =>
    operation.figures.map((contender, n) => [
      n === 0 ? `(${operation.name})` : '',
      contender.name,
      ...figuresCells(contender),
      contender.cpuMs === null ? '–' : `${contender.cpuMs.toFixed(3)} ms`,
    ]),
  );
  const memory = Object.entries(result.peakMemoryMb)
    .filter(([, mb]) => mb !== null)
    .map(([name, mb]) => `${name} ${whole(mb ?? 0)} MB`);
  const leftOut = Object.entries(result.leftOut).map(([name, why]) => `${name}: ${why}`);
  return [
    `Routers side by side: ${schedule}. Requests a second of TaskFlow’s router, as a multiple of the others’:`,
    table(['operation', ...RATIOS.map(([, title]) => title)], ratios),
    table(['operation', 'gateway', ...FIGURES_HEAD, 'CPU a request'], figures),
    result.operations
      .map(({ name, about, answerBytes }) => `(${name}) ${about}; ${whole(answerBytes)} bytes`)
      .join('\n'),
    Object.entries(kinds)
      .map(([name, { about }]) => `${name}: ${about}`)
      .join('\n'),
    `Peak memory: ${memory.join(', ')}. The load generator straight at a subgraph: ` +
      `${whole(result.ceiling.requestsPerSecond)} requests/s.`,
    ...(leftOut.length > 0 ? [`Left out: ${leftOut.join('; ')}`] : []),
  ];
}
