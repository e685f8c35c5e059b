/**
 * What the five processes find around them on a developer's machine: their variables, the secrets, PostgreSQL,
 * Redis and a mailbox. `npm start`, `npm run dev`, `npm run start:processes` and the tests that kill processes all
 * stand on this.
 *
 *   given variables ─┐
 *   kept secrets ────┼─▶ every config read once, all problems in one message ─▶ ports free? ─▶ servers ─▶ migrate
 *   defaults ────────┘
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError, describeVariables, readConfig } from '@taskflow/kit/config';
import type { Log } from '@taskflow/kit/log';
import * as notification from '@taskflow/notification/config';
import * as org from '@taskflow/org/config';
import { type Subgraph, subgraphs } from '@taskflow/prisma/databases';
import * as router from '@taskflow/router/config';
import * as task from '@taskflow/task/config';
import * as user from '@taskflow/user/config';
import { mailboxVariables } from './config.ts';
import { needsEmbedded, openDatabases, ROLE_NAMES } from './databases.ts';
import { openMailbox } from './mailbox.ts';
import { findPortProblem, freePorts, type WantedPort } from './ports.ts';
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
  /** The page of our own mailbox; null where NOTIFICATION_SMTP_URL names another server. */
  readonly mailboxUrl: string | null;
}

export const variables = {
  ...user.variables,
  ...org.variables,
  ...task.variables,
  ...notification.variables,
  ...router.variables,
  ...mailboxVariables,
};

/** Whose port is whose, in the order of starting. */
const PROCESSES = ['USER', 'ORG', 'TASK', 'NOTIFICATION', 'ROUTER'];

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
  validate(env);
  const ports = await settlePorts(env, PROCESSES);
  const mailPorts = env.NOTIFICATION_SMTP_URL ? [] : await settlePorts(env, ['MAILBOX_SMTP', 'MAILBOX']);
  const problem = await findPortProblem([...ports, ...mailPorts]);
  if (problem) throw new Error(problem);
  const addresses = addressesOf(ports);
  pointRouterAt(env, addresses);

  const postgres = needsEmbedded(env) ? await openPostgres(dir, stops, log) : null;
  stops.checkpoint();
  Object.assign(env, await openDatabases({ env, embeddedUrl: postgres?.url ?? null, passwords: secrets }));
  stops.checkpoint();
  const redis = env.REDIS_URL ? null : await openRedis(dir, stops, log);
  if (redis) env.REDIS_URL = redis.url;
  stops.checkpoint();
  const mailboxUrl = mailPorts.length > 0 ? await openOwnMailbox(env, dir, stops, log) : null;
  stops.checkpoint();
  return { env, addresses, postgres, redis, mailboxUrl };
}

/** Takes the mails of this installation, and shows them. Answers where. */
async function openOwnMailbox(env: NodeJS.ProcessEnv, dir: string, stops: Stops, log: Log): Promise<string> {
  const [smtpPort, pagePort] = [Number(env.MAILBOX_SMTP_PORT), Number(env.MAILBOX_PORT)];
  const mailbox = await openMailbox({ smtpPort, pagePort, dir: join(dir, 'mails'), log });
  await stops.add('mailbox', mailbox.stop);
  env.NOTIFICATION_SMTP_URL = mailbox.smtpUrl;
  return mailbox.pageUrl;
}

/** The ports that will be listened on; a 0 is replaced by a free one, which stays the same on a restart. */
async function settlePorts(env: NodeJS.ProcessEnv, prefixes: readonly string[]): Promise<WantedPort[]> {
  env.ROUTER_PORT ||= env.PORT;
  const defaults = new Map(describeVariables(variables).map((variable) => [variable.name, variable.default]));
  const settled: WantedPort[] = [];
  const spare = await freePorts(prefixes.length);
  for (const prefix of prefixes) {
    const variable = `${prefix}_PORT`;
    const asked = Number(env[variable] || defaults.get(variable));
    const port = asked === 0 ? (spare.pop() ?? 0) : asked;
    env[variable] = String(port);
    settled.push({
      variable,
      host: env[`${prefix}_HOST`] || defaults.get(`${prefix}_HOST`) || '127.0.0.1',
      port,
    });
  }
  return settled;
}

function addressesOf(ports: readonly WantedPort[]): Environment['addresses'] {
  const entries = ports.map(({ variable, host, port }) => {
    const name = variable.slice(0, -'_PORT'.length).toLowerCase();
    // An address that means every interface is reached over this machine's own.
    return [name, `http://${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${port}`];
  });
  return Object.fromEntries(entries) as Environment['addresses'];
}

/** Whoever moves a subgraph need not tell the router as well; and a process may start in any folder. */
function pointRouterAt(env: NodeJS.ProcessEnv, addresses: Environment['addresses']): void {
  for (const subgraph of subgraphs)
    env[`ROUTER_${subgraph.toUpperCase()}_URL`] ||= `${addresses[subgraph]}/graphql`;
  // What a browser says for this machine, whatever address the router listens on.
  env.NOTIFICATION_MAIL_LINK_BASE ||= `http://localhost:${new URL(addresses.router).port}`;
  env.ROUTER_JWKS_URL ||= `${addresses.user}/.well-known/jwks.json`;
  const root = resolve(import.meta.dirname, '..');
  env.ROUTER_SUPERGRAPH_FILE = resolve(root, env.ROUTER_SUPERGRAPH_FILE || 'schema/supergraph.graphql');
}

function ownFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true });
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Error(`${dir} must be writable, it holds the data: ${(error as Error).message}`);
  }
}

/** Reads every config, so that all broken variables are found before anything runs. */
function validate(given: NodeJS.ProcessEnv): void {
  // Addresses that are not known yet must not count as missing.
  const env = { ...placeholders(), ...withoutEmpty(given) };
  const readers = [
    user.readUserConfig,
    org.readOrgConfig,
    task.readTaskConfig,
    notification.readNotificationConfig,
    router.readRouterConfig,
    (env: NodeJS.ProcessEnv) => readConfig('mailbox', mailboxVariables, env),
  ];
  const problems = new Set<string>();
  for (const read of readers) {
    try {
      read(env);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const line of error.problems) problems.add(line);
    }
  }
  if (problems.size > 0) throw new ConfigError('TaskFlow', [...problems]);
}

function placeholders(): NodeJS.ProcessEnv {
  const addresses = describeVariables(variables).filter(({ name }) => name.endsWith('_URL'));
  return Object.fromEntries(addresses.flatMap(({ name, default: value }) => (value ? [[name, value]] : [])));
}

function withoutEmpty(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}
