import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@taskflow/kit/log';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { needsEmbedded, openDatabases, ROLE_NAMES } from './databases.ts';
import { type OwnPostgres, startPostgres } from './postgres.ts';
import { keepSecrets } from './secrets.ts';

const given = (url: string) => ({
  USER_DATABASE_URL: url,
  ORG_DATABASE_URL: url,
  TASK_DATABASE_URL: url,
  NOTIFICATION_DATABASE_URL: url,
});

describe('the addresses of the databases', () => {
  let dir: string;
  let server: OwnPostgres;
  let passwords: Record<string, string>;
  let derived: Record<string, string>;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'taskflow-databases-'));
    chmodSync(dir, 0o711); // the server's own account passes through
    server = await startPostgres({
      dir,
      log: createLog({ process: 'test', level: 'silent' }),
      isDurable: false,
    });
    passwords = keepSecrets(dir, ROLE_NAMES);
    derived = await openDatabases({ env: given(server.adminUrl), embeddedUrl: null, passwords });
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('are derived from a role that may create, three for each subgraph, and migrated', async () => {
    expect(Object.keys(derived)).toHaveLength(12);
    const client = new pg.Client({ connectionString: derived.TASK_DATABASE_URL });
    await client.connect();
    const { rows } = await client.query(
      "select current_user::text as role, current_database() as name, to_regclass('tasks')::text as found",
    );
    await client.end();
    expect(rows).toEqual([{ role: 'taskflow_task_app', name: 'taskflow_task', found: 'tasks' }]);
  });

  it('stay as they are when the serving role is given with the other two', async () => {
    expect(await openDatabases({ env: derived, embeddedUrl: null, passwords })).toEqual({});
  });

  it('must all be given when the serving role is', async () => {
    const { TASK_SYSTEM_DATABASE_URL: _, ...env } = derived;
    await expect(openDatabases({ env, embeddedUrl: null, passwords })).rejects.toThrow(
      'TASK_DATABASE_URL: its role may not create databases and roles, so TASK_SYSTEM_DATABASE_URL must be set too',
    );
  });

  it('are named, without their password, when nobody answers there or the password is wrong', async () => {
    for (const url of [
      'postgresql://me:hunter2@127.0.0.1:1/x',
      server.adminUrl.replace(/:[^:@]+@/, ':hunter2@'),
    ]) {
      const opening = openDatabases({ env: given(url), embeddedUrl: null, passwords });
      await expect(opening).rejects.toThrow(/^USER_DATABASE_URL: 127\.0\.0\.1:\d+ refused: /);
      await expect(opening).rejects.not.toThrow(/hunter2/);
    }
  });
});

it('ask for the embedded server unless every subgraph has one', () => {
  expect(needsEmbedded({})).toBe(true);
  expect(needsEmbedded({ ...given('postgresql://x'), ORG_DATABASE_URL: '' })).toBe(true);
  expect(needsEmbedded(given('postgresql://x'))).toBe(false);
  expect(needsEmbedded({ POSTGRES_ADMIN_URL: 'postgresql://x' })).toBe(false);
});
