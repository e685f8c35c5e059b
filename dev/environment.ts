/**
 * What the five processes find around them on a developer's machine: their variables, the secrets, PostgreSQL
 * and Redis. `npm start`, `npm run dev`, `npm run start:processes` and the tests that kill processes all
 * stand on this.
 *
 *   given variables ─┐
 *   kept secrets ────┼─▶ every config read once, all problems in one message ─▶ ports free? ─▶ servers ─▶ migrate
 *   defaults ────────┘
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { ConfigError, describeVariables } from '@taskflow/kit/config';
import type { Log } from '@taskflow/kit/log';
import * as notification from '@taskflow/notification/config';
import * as org from '@taskflow/org/config';
import * as router from '@taskflow/router/config';
import * as task from '@taskflow/task/config';
import * as user from '@taskflow/user/config';
import { findHomeless, openDatabases, ROLE_NAMES, type Subgraph } from './databases.ts';
import { findPortProblem, type WantedPort } from './ports.ts';
import { isKey, keepSecrets, valueOfKey } from './secrets.ts';
import { type OwnServer, openPostgres, openRedis } from './servers.ts';
import type { Stops } from './stops.ts';

export interface Environment {
  /** Complete: what each of the five `config.ts` reads. */
  readonly env: NodeJS.ProcessEnv;
  /** Where each process listens, without a path. */
  readonly addresses: Readonly<Record<Subgraph | 'router', string>>;
  /** The servers of our own, absent where a variable names another. */
  readonly postgres: OwnServer | null;
  readonly redis: OwnServer | null;
}

const variables = {
  ...user.variables,
  ...org.variables,
  ...task.variables,
  ...notification.variables,
  ...router.variables,
};

/**
 * Prepares everything in `dir`, which keeps it for the next time. Registers what it starts with `stops`.
 * Throws an Error with one message for a person; nothing of its own is left running after `stops.run()`.
 */
export async function openEnvironment(options: {
  dir: string;
  env: NodeJS.ProcessEnv;
  stops: Stops;
  log: Log;
}): Promise<Environment> {
  const { dir, stops, log } = options;
  ownFolder(dir);
  const described = describeVariables(variables).filter(isKey);
  const secrets = keepSecrets(dir, [...described.map(({ name }) => name), ...ROLE_NAMES]);
  const env: NodeJS.ProcessEnv = { ...options.env };
  for (const key of described) env[key.name] ||= valueOfKey(key, secrets[key.name] ?? '');
  const ports = readPorts(env);
  const problem = await findPortProblem(ports);
  if (problem) throw new Error(problem);

  const postgres = findHomeless(env).length > 0 ? await openPostgres(dir, stops, log) : null;
  stops.checkpoint();
  Object.assign(env, await openDatabases({ env, embeddedUrl: postgres?.url ?? null, passwords: secrets }));
  stops.checkpoint();
  const redis = env.REDIS_URL ? null : await openRedis(dir, stops, log);
  if (redis) env.REDIS_URL = redis.url;
  stops.checkpoint();
  return { env, addresses: addressesOf(ports), postgres, redis };
}

function addressesOf(ports: readonly WantedPort[]): Environment['addresses'] {
  const entries = ports.map(({ variable, host, port }) => {
    const name = variable.slice(0, -'_PORT'.length).toLowerCase();
    // An address that means every interface is reached over this machine's own.
    return [name, `http://${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${port}`];
  });
  return Object.fromEntries(entries) as Environment['addresses'];
}

function ownFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true });
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Error(`${dir} must be writable, it holds the data: ${(error as Error).message}`);
  }
}

/** Reads every config, so that a broken variable is found before anything runs. */
function readPorts(given: NodeJS.ProcessEnv): WantedPort[] {
  // Addresses that are not known yet must not count as missing.
  const env = { ...placeholders(), ...withoutEmpty(given) };
  const problems = new Set<string>();
  const ports: WantedPort[] = [];
  const read = <C extends object>(prefix: string, readOne: (env: NodeJS.ProcessEnv) => C) => {
    try {
      const config = readOne(env) as Record<string, unknown>;
      const variable = `${prefix}_PORT`;
      ports.push({ variable, host: String(config[`${prefix}_HOST`]), port: Number(config[variable]) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const line of error.problems) problems.add(line);
    }
  };
  read('USER', user.readUserConfig);
  read('ORG', org.readOrgConfig);
  read('TASK', task.readTaskConfig);
  read('NOTIFICATION', notification.readNotificationConfig);
  read('ROUTER', router.readRouterConfig);
  if (problems.size > 0) throw new ConfigError('TaskFlow', [...problems]);
  return ports;
}

function placeholders(): NodeJS.ProcessEnv {
  const addresses = describeVariables(variables).filter(({ name }) => name.endsWith('_URL'));
  return Object.fromEntries(addresses.flatMap(({ name, default: value }) => (value ? [[name, value]] : [])));
}

function withoutEmpty(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}
