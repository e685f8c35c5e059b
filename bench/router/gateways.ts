/** The contenders of the router's comparison, and how each is started in front of a world. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '@taskflow/dev/ports';
import { startRedis } from '@taskflow/dev/redis';
import type { Stops } from '@taskflow/dev/stops';
import { createLog } from '@taskflow/kit/log';
import { type Child, startChild } from '../children.ts';
import { createHttpTarget, type HttpTarget } from '../http-target.ts';
import type { Identity } from './identity.ts';
import type { WorldName } from './operations.ts';
import { shopSdl, shopSubgraphs } from './shop.ts';

/** A supergraph and the subgraphs behind it. */
export interface World {
  name: WorldName;
  /** The composed file, with the addresses of this run. */
  file: string;
  urls: Readonly<Record<string, string>>;
}

export interface Gateway {
  name: GatewayName;
  pid: number;
  target: HttpTarget;
}

interface Kind {
  about: string;
  /** Left out where the peers are not installed. */
  isPeer?: true;
  /** The worlds that it can serve. */
  worlds: readonly WorldName[];
  start(world: World, port: number, context: StartContext): Promise<Child>;
  path?: string;
  hasAccounts?: true;
}

export interface StartContext {
  dir: string;
  stops: Stops;
  identity: Identity;
  connections: number;
}

const BOTH: readonly WorldName[] = ['taskflow', 'shop'];
const READY = /listens on http/;
const HIVE = 'bench/peers/node_modules/@graphql-hive/gateway/dist/bin.js';

export const kinds = {
  taskflow: {
    about: 'TaskFlow’s router, `--anonymous`, as it comes',
    worlds: BOTH,
    start: (world, port, { stops }) =>
      startChild({
        name: 'taskflow',
        args: ['router/src/main.ts', '--supergraph', world.file, '--port', String(port), '--anonymous'],
        ready: READY,
        stops,
      }),
  },
  'taskflow+': {
    about: 'the same with access tokens, rate and cost limits in Redis, signed contexts',
    worlds: ['taskflow'],
    hasAccounts: true,
    start: startWithAccounts,
  },
  plugged: {
    about:
      'TaskFlow’s router with a plugin that does nothing, hence through Apollo Server (the standard path)',
    worlds: BOTH,
    start: (world, port, { stops }) =>
      startChild({
        name: 'plugged',
        args: ['bench/router/plugged.ts', world.file, String(port)],
        ready: READY,
        stops,
      }),
  },
  stock: {
    about: '@apollo/gateway behind @apollo/server’s `startStandaloneServer`, as their documentation has it',
    worlds: BOTH,
    path: '/',
    start: (world, port, { stops }) =>
      startChild({
        name: 'stock',
        args: ['bench/router/stock.ts', world.file, String(port)],
        ready: READY,
        stops,
      }),
  },
  tuned: {
    about: 'the same two behind a plain HTTP server, with undici’s pooled connections for a fetcher',
    worlds: BOTH,
    start: (world, port, { stops }) =>
      startChild({
        name: 'tuned',
        args: ['bench/router/tuned.ts', world.file, String(port)],
        ready: READY,
        stops,
      }),
  },
  hive: {
    about: 'Hive Gateway as it comes',
    worlds: BOTH,
    isPeer: true,
    start: (world, port, context) => startHive('hive', world, port, context),
  },
  'hive-rust': {
    about: 'Hive Gateway with its Rust planner and that planner’s executor',
    worlds: BOTH,
    isPeer: true,
    start: (world, port, context) => startHive('hive-rust', world, port, context),
  },
  mercurius: {
    about: 'Mercurius’ gateway with its JIT; federation 1 only',
    worlds: ['shop'],
    isPeer: true,
    start: (world, port, { stops }) =>
      startChild({
        name: 'mercurius',
        args: ['bench/peers/mercurius.mjs', JSON.stringify(shopServices(world)), String(port)],
        ready: READY,
        stops,
      }),
  },
  bare: {
    about: 'a bare HTTP server that replays the answers',
    worlds: BOTH,
    start: (world, port, { dir, stops }) =>
      startChild({
        name: 'bare',
        args: ['bench/router/bare.ts', answersFile(dir, world.name), String(port)],
        ready: READY,
        stops,
      }),
  },
} as const satisfies Record<string, Kind>;

export type GatewayName = keyof typeof kinds;

/** What the bare server replays: `[[body, answer], …]`. */
export const answersFile = (dir: string, world: WorldName) => join(dir, `answers-${world}.json`);

export async function startGateway(
  name: GatewayName,
  world: World,
  context: StartContext,
): Promise<Gateway | null> {
  const kind: Kind = kinds[name];
  if (!kind.worlds.includes(world.name)) return null;
  const [port = 0] = await freePorts(1);
  const { pid } = await kind.start(world, port, context);
  const url = `http://127.0.0.1:${port}${kind.path ?? '/graphql'}`;
  const token = kind.hasAccounts ? context.identity.token : undefined;
  return { name, pid, target: await createHttpTarget(url, context.connections, context.stops, token) };
}

/** With their SDL as it is written: @apollo/subgraph's `_service` adds words of its own that federation 1 has not. */
const shopServices = ({ urls }: World) =>
  shopSubgraphs.map((name) => ({ name, url: urls[name], schema: shopSdl[name] }));

async function startHive(config: string, { file }: World, port: number, { stops }: StartContext) {
  const options = ['--port', String(port), '--host', '127.0.0.1', '--fork', '1'];
  return startChild({
    name: config,
    args: [HIVE, 'supergraph', file, ...options, '--config-path', `bench/peers/${config}.config.mjs`],
    ready: { url: `http://127.0.0.1:${port}/readiness` },
    stops,
  });
}

async function startWithAccounts(
  world: World,
  port: number,
  { dir, stops, identity }: StartContext,
): Promise<Child> {
  const redis = await startRedis({
    dir: join(dir, 'redis-of-the-router'),
    log: createLog({ process: 'bench', level: 'silent' }),
  });
  await stops.add('Redis', () => redis.stop());
  const addresses = Object.entries(world.urls).map(([name, url]) => [
    `ROUTER_${name.toUpperCase()}_URL`,
    url,
  ]);
  return startChild({
    name: 'taskflow+',
    args: ['router/src/main.ts', '--supergraph', world.file, '--port', String(port)],
    ready: READY,
    stops,
    variables: {
      ...Object.fromEntries(addresses),
      ...{ REDIS_URL: redis.url, LOG_LEVEL: 'warn' },
      ROUTER_JWKS_URL: new URL('/.well-known/jwks.json', world.urls.user).href,
      // One person sends more here than any person does: counted all the same, and never too much.
      ...{ ROUTER_VIEWER_REQUESTS_PER_S: '1000000', ROUTER_VIEWER_POINTS_PER_S: '1000000000' },
      ROUTER_ORGANIZATION_POINTS_PER_S: '1000000000',
      USER_TOKEN_ISSUER: identity.issuer,
      USER_TOKEN_AUDIENCE: identity.audience,
    },
  });
}

export async function writeAnswers(
  dir: string,
  world: WorldName,
  answers: readonly (readonly [string, string])[],
) {
  await writeFile(answersFile(dir, world), JSON.stringify(answers));
}
