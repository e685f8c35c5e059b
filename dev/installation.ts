/**
 * An installation as a command of the operator meets it: running or not, here or elsewhere.
 *
 *   given variables ─┐                      ┌─ of the running one: its port is found beside its data
 *   kept secrets ────┴─▶ PostgreSQL, Redis ─┼─ not running: started for the command, and stopped after it
 *                                           └─ named by a variable: used as it is
 *
 * A running installation is left as it is: nothing is migrated beneath it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describeVariables } from '@taskflow/kit/config';
import type { Log } from '@taskflow/kit/log';
import { type DatabaseAccess, findDatabases, needsEmbedded, openDatabases } from './databases.ts';
import { variables } from './environment.ts';
import { findPostgresIn } from './postgres.ts';
import { findRedisIn } from './redis.ts';
import { isKey, readSecrets, valueOfKey } from './secrets.ts';
import { openPostgres, openRedis } from './servers.ts';
import type { Stops } from './stops.ts';

/** The variables of all processes. Throws an Error with one message for a person. */
export async function openInstallation(options: {
  dir: string;
  env: NodeJS.ProcessEnv;
  stops: Stops;
  log: Log;
}): Promise<NodeJS.ProcessEnv> {
  const { dir, stops, log } = options;
  const env: NodeJS.ProcessEnv = { ...options.env };
  // A deployment has its variables, and nothing on this disk belongs to it.
  if (env.TASKFLOW_MODE === 'production') return env;
  const isHere = existsSync(join(dir, 'secrets.json'));
  if (needsEmbedded(env) && !isHere) {
    throw new Error(
      `there is no installation in ${dir}: run \`npm start\` once, or name another with TASKFLOW_DIR or <SUBGRAPH>_DATABASE_URL`,
    );
  }
  const passwords = readSecrets(dir);
  for (const key of describeVariables(variables).filter(isKey)) {
    const kept = passwords[key.name];
    if (kept) env[key.name] ||= valueOfKey(key, kept);
  }
  const access: Omit<DatabaseAccess, 'embeddedUrl'> = { env, passwords };
  if (needsEmbedded(env)) {
    const running = findPostgresIn(join(dir, 'postgres'));
    const embeddedUrl = running ?? (await openPostgres(dir, stops, log)).url;
    // One that was at rest may be of an older release.
    const reach = running ? findDatabases : openDatabases;
    Object.assign(env, await reach({ ...access, embeddedUrl }));
  } else Object.assign(env, await findDatabases({ ...access, embeddedUrl: null }));
  if (isHere) {
    env.REDIS_URL ||= (await findRedisIn(join(dir, 'redis-data'))) ?? (await openRedis(dir, stops, log)).url;
  }
  return env;
}
