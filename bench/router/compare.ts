/** Our router beside the stock gateway: the same supergraph, the same subgraphs, the same requests. */
import { deepStrictEqual } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '@taskflow/dev/ports';
import type { Stops } from '@taskflow/dev/stops';
import { composedFiles } from '@taskflow/schema/compose';
import { subgraphs } from '@taskflow/schema/sdl';
import { startChild } from '../children.ts';
import { createHttpTarget, type HttpTarget } from '../http-target.ts';
import { type Contender, compare, type Figures, type Schedule } from '../load.ts';
import { peakMemoryMbOf } from '../process-use.ts';
import { type Operation, operations } from './operations.ts';

export interface RouterResult {
  /** How many requests the load generator gets answered by a subgraph itself: no gateway's figure can be above it. */
  ceiling: Figures;
  operations: { name: string; about: string; answerBytes: number; figures: Figures[] }[];
  peakMemoryMb: Record<string, number | null>;
}

interface Gateway {
  name: string;
  pid: number;
  target: HttpTarget;
}

/** `dir` is for files of this run. Throws when the gateways do not give equal answers. */
export async function compareRouters(options: {
  dir: string;
  schedule: Schedule;
  stops: Stops;
  say(text: string): void;
}): Promise<RouterResult> {
  const { schedule, stops, say } = options;
  say('starting four subgraphs in memory and two gateways');
  const { memory, gateways, taskUrl } = await startAll(options.dir, schedule, stops);
  const processes = [{ name: 'subgraphs', pid: memory.pid }, ...gateways];
  say(`processes: ${processes.map(({ name, pid }) => `${name} ${pid}`).join(', ')}`);
  const results: RouterResult['operations'] = [];
  for (const operation of operations) {
    const expected = await verify(operation, gateways);
    stops.checkpoint();
    say(`operation ${operation.name}: ${operation.about}`);
    const contenders = gateways.map((gateway) =>
      contenderOf(gateway, operation, expected.get(gateway) ?? []),
    );
    const figures = await compare(contenders, schedule);
    stops.checkpoint();
    const answerBytes = Buffer.byteLength(expected.values().next().value?.[0] ?? '');
    results.push({ name: operation.name, about: operation.about, answerBytes, figures });
  }
  const peakMemoryMb = Object.fromEntries(gateways.map(({ name, pid }) => [name, peakMemoryMbOf(pid)]));
  return { ceiling: await measureCeiling(taskUrl, schedule, stops), operations: results, peakMemoryMb };
}

async function startAll(dir: string, { concurrency }: Schedule, stops: Stops) {
  const memory = await startChild({
    name: 'subgraphs',
    args: ['bench/router/subgraphs.ts'],
    ready: /^\{.*\}$/m,
    stops,
  });
  const urls: Record<string, string> = JSON.parse(memory.ready[0]);
  const file = join(dir, 'supergraph.graphql');
  await writeFile(file, await supergraphAt(urls));
  const [ourPort = 0, stockPort = 0] = await freePorts(2);
  const ours = ['router/src/main.ts', '--supergraph', file, '--port', String(ourPort), '--anonymous'];
  const stock = ['bench/router/stock.ts', file, String(stockPort)];
  const gateways = await Promise.all([
    startGateway('taskflow', ours, `http://127.0.0.1:${ourPort}/graphql`),
    startGateway('stock', stock, `http://127.0.0.1:${stockPort}/`),
  ]);
  return { memory, gateways, taskUrl: urls.task ?? '' };

  async function startGateway(name: string, args: string[], url: string): Promise<Gateway> {
    const { pid } = await startChild({ name, args, ready: /listens on http/, stops });
    return { name, pid, target: await createHttpTarget(url, concurrency, stops) };
  }
}

/** The committed supergraph with the addresses of this run. */
async function supergraphAt(urls: Record<string, string>): Promise<string> {
  let sdl = await readFile(composedFiles.supergraph, 'utf8');
  for (const { name, url } of subgraphs) {
    const moved = sdl.replace(`url: "${url}"`, `url: "${urls[name]}"`);
    if (moved === sdl) throw new Error(`the supergraph does not name ${url} as the address of ${name}`);
    sdl = moved;
  }
  return sdl;
}

/** Every body once at every gateway: no errors, equal data. What each answered is what it must go on answering. */
async function verify(operation: Operation, gateways: readonly Gateway[]): Promise<Map<Gateway, string[]>> {
  const texts = new Map<Gateway, string[]>();
  for (const gateway of gateways) {
    texts.set(gateway, await Promise.all(operation.bodies.map((body) => gateway.target.post(body))));
  }
  const [reference, ...others] = gateways.map((gateway) => (texts.get(gateway) ?? []).map(dataOf));
  for (const other of others) {
    deepStrictEqual(other, reference, `the gateways answer operation ${operation.name} differently`);
  }
  return texts;
}

function dataOf(text: string): unknown {
  const { data, errors } = JSON.parse(text);
  if (errors || !data) throw new Error(`not an answer to measure: ${text.slice(0, 1_000)}`);
  return data;
}

function contenderOf({ name, pid, target }: Gateway, { bodies }: Operation, expected: string[]): Contender {
  let turn = 0;
  return {
    name,
    pid,
    async send() {
      const i = turn++ % bodies.length;
      const text = await target.post(bodies[i] ?? '');
      if (text !== expected[i])
        throw new Error(`${name} gave another answer under load: ${text.slice(0, 1_000)}`);
    },
  };
}

async function measureCeiling(url: string, schedule: Schedule, stops: Stops): Promise<Figures> {
  const target = await createHttpTarget(url, schedule.concurrency, stops);
  const [body = ''] = operations[0]?.bodies ?? [];
  const send = () => target.post(body);
  const [figures] = await compare([{ name: 'a subgraph itself', send }], { ...schedule, rounds: 1 });
  if (!figures) throw new Error('the ceiling was not measured');
  return figures;
}
