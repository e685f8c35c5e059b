/** Our router beside other gateways: the same supergraphs, the same subgraphs, the same requests. */
import { isDeepStrictEqual } from 'node:util';
import type { Stops } from '@taskflow/dev/stops';
import { createHttpTarget } from '../http-target.ts';
import { type Contender, compare, type Figures, type Schedule } from '../load.ts';
import { peakMemoryMbOf } from '../process-use.ts';
import { type Gateway, type GatewayName, kinds, startGateway, type World, writeAnswers } from './gateways.ts';
import { createIdentity } from './identity.ts';
import { type Operation, operations, type WorldName } from './operations.ts';
import { installPeers } from './peers.ts';
import { startWorld } from './worlds.ts';

export interface RouterResult {
  /** How many requests the load generator gets answered by a subgraph itself: no gateway's figure can be above it. */
  ceiling: Figures;
  operations: { name: string; about: string; answerBytes: number; figures: Figures[] }[];
  /** By gateway, in the world of TaskFlow where it serves that. */
  peakMemoryMb: Record<string, number | null>;
  /** Why a contender has no figure, by gateway. */
  leftOut: Record<string, string>;
}

export interface RouterOptions {
  /** For files of this run. */
  dir: string;
  schedule: Schedule;
  /** Without them: our router, stock and tuned alone. */
  peers: boolean;
  /** Names of contenders; all when empty. */
  gateways: readonly string[];
  /** Names of operations; all when empty. */
  only: readonly string[];
  stops: Stops;
  say(text: string): void;
}

/** Throws when our router and the stock gateway do not give equal answers; a peer that differs is left out, and named. */
export async function compareRouters(options: RouterOptions): Promise<RouterResult> {
  const { schedule, stops, say } = options;
  const leftOut: Record<string, string> = {};
  const hasPeers = options.peers && (await installPeers(say));
  if (!hasPeers) leftOut.peers = options.peers ? 'they could not be installed' : 'not asked for';
  const names = (Object.keys(kinds) as GatewayName[])
    .filter((name) => hasPeers || !('isPeer' in kinds[name]))
    .filter((name) => options.gateways.length === 0 || options.gateways.includes(name));
  const results: RouterResult['operations'] = [];
  const peakMemoryMb: RouterResult['peakMemoryMb'] = {};
  let ceiling: Figures | null = null;
  for (const name of ['taskflow', 'shop'] as const) {
    const asked = operations.filter(
      ({ world, name: of }) => world === name && (options.only.length === 0 || options.only.includes(of)),
    );
    if (asked.length === 0) continue;
    const { world, gateways } = await startAll(name, names, options, leftOut);
    for (const operation of asked) {
      results.push(await measure(operation, world, gateways, options, leftOut));
    }
    for (const { name, pid } of gateways) peakMemoryMb[name] ??= peakMemoryMbOf(pid);
    ceiling ??= await measureCeiling(world, asked[0], schedule, stops);
  }
  if (!ceiling) throw new Error(`there is no such operation: ${options.only.join(', ')}`);
  return { ceiling, operations: results, peakMemoryMb, leftOut };
}

async function startAll(
  name: WorldName,
  names: readonly GatewayName[],
  { dir, schedule, stops, say }: RouterOptions,
  leftOut: Record<string, string>,
): Promise<{ world: World; gateways: Gateway[] }> {
  const identity = createIdentity();
  say(`starting the subgraphs of ${name} in memory, and the gateways`);
  const { world, pid } = await startWorld(name, { dir, jwks: identity.jwks, stops });
  const context = { dir, stops, identity, connections: schedule.concurrency };
  const started = await Promise.all(
    names.map((gateway) =>
      startGateway(gateway, world, context).catch((error: Error) => {
        if (!('isPeer' in kinds[gateway])) throw error;
        leftOut[gateway] = `did not start: ${reasonOf(error)}`;
        return null;
      }),
    ),
  );
  const gateways = started.filter((gateway) => gateway !== null);
  const processes = [{ name: 'subgraphs', pid }, ...gateways];
  say(`processes: ${processes.map(({ name, pid }) => `${name} ${pid}`).join(', ')}`);
  return { world, gateways };
}

async function measure(
  operation: Operation,
  world: World,
  gateways: readonly Gateway[],
  { dir, schedule, stops, say }: RouterOptions,
  leftOut: Record<string, string>,
): Promise<RouterResult['operations'][number]> {
  const answering = gateways.filter(({ name }) => name !== 'bare');
  const expected = await verify(operation, answering, leftOut);
  const ours = [...expected][0]?.[1] ?? [];
  await writeAnswers(
    dir,
    world.name,
    operation.bodies.map((body, n) => [body, ours[n] ?? ''] as const),
  );
  const bare = gateways.find(({ name }) => name === 'bare');
  if (bare) expected.set(bare, ours);
  stops.checkpoint();
  say(`operation (${operation.name}): ${operation.about}`);
  const contenders = [...expected].map(([gateway, texts]) => contenderOf(gateway, operation, texts));
  const figures = await compare(contenders, schedule);
  stops.checkpoint();
  const { name, about } = operation;
  return { name, about, answerBytes: Buffer.byteLength(ours[0] ?? ''), figures };
}

/** Every body once at every gateway: no errors, equal data. What each answered is what it must go on answering. */
async function verify(
  operation: Operation,
  gateways: readonly Gateway[],
  leftOut: Record<string, string>,
): Promise<Map<Gateway, string[]>> {
  const texts = new Map<Gateway, string[]>();
  let reference: unknown[] | null = null;
  for (const gateway of gateways) {
    try {
      const answers: string[] = [];
      for (const body of operation.bodies) answers.push(await gateway.target.post(body));
      const data = answers.map(dataOf);
      reference ??= data;
      if (!isDeepStrictEqual(data, reference)) throw new Error('its answer is not equal to ours');
      texts.set(gateway, answers);
    } catch (error) {
      if (!('isPeer' in kinds[gateway.name])) {
        throw new Error(`${gateway.name}, operation (${operation.name}): ${reasonOf(error)}`);
      }
      leftOut[`${gateway.name} (${operation.name})`] = reasonOf(error);
    }
  }
  return texts;
}

const REASON_LENGTH_MAX = 300;
const reasonOf = (error: unknown) => (error as Error).message.slice(0, REASON_LENGTH_MAX);

function dataOf(text: string): unknown {
  const { data, errors } = JSON.parse(text);
  if (errors || !data) throw new Error(`not an answer to measure: ${text}`);
  return data;
}

/** What may differ from one answer to the next: an account's remaining budget. */
const withoutExtensions = (text: string) => text.slice(0, text.lastIndexOf(',"extensions":'));

function contenderOf({ name, pid, target }: Gateway, { bodies }: Operation, texts: string[]): Contender {
  const isCounted = texts.some((text) => text.includes(',"extensions":{'));
  const comparable = isCounted ? withoutExtensions : (text: string) => text;
  const expected = texts.map(comparable);
  let turn = 0;
  return {
    name,
    pid,
    async send() {
      const i = turn++ % bodies.length;
      const text = comparable(await target.post(bodies[i] ?? ''));
      if (text !== expected[i])
        throw new Error(`${name} gave another answer under load: ${text.slice(0, 1_000)}`);
    },
  };
}

async function measureCeiling(
  { urls }: World,
  operation: Operation | undefined,
  schedule: Schedule,
  stops: Stops,
): Promise<Figures> {
  const target = await createHttpTarget(
    urls.task ?? Object.values(urls)[0] ?? '',
    schedule.concurrency,
    stops,
  );
  const [body = ''] = operation?.bodies ?? [];
  const send = () => target.post(body);
  const [figures] = await compare([{ name: 'a subgraph itself', send }], { ...schedule, rounds: 1 });
  if (!figures) throw new Error('the ceiling was not measured');
  return figures;
}
