import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startInScratch } from '../tests/kit/postgres-server.ts';
import { bootstrap, passwordsOf } from './bootstrap.ts';
import { readAddresses } from './config.ts';
import { roleOf, roles, type Subgraph, subgraphs, urlOf } from './databases.ts';
import { migrate } from './migrate.ts';
import { withAdmin } from './scratch.ts';

// A server of its own: roles belong to the whole server.
let server: Awaited<ReturnType<typeof startInScratch>>;
beforeAll(async () => {
  server = await startInScratch();
});
afterAll(() => server.stop());

const passwords = Object.fromEntries(
  subgraphs.flatMap((subgraph) =>
    roles.map((role) => [roleOf(subgraph, role), randomBytes(9).toString('base64')]),
  ),
);

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  return withAdmin(url, async (client) => (await client.query(sql)).rows);
}

const login = (subgraph: Subgraph, role: (typeof roles)[number], database = `taskflow_${subgraph}`) =>
  urlOf(server.adminUrl, { subgraph, role, password: passwords[roleOf(subgraph, role)] ?? '', database });

describe('bootstrap', () => {
  it('from several places at once makes everything once, and a second time nothing', async () => {
    const { adminUrl } = server;
    const made = await Promise.all([1, 2, 3].map(() => bootstrap({ adminUrl, passwords })));
    expect(made.flat().sort()).toEqual([
      'taskflow_notification',
      'taskflow_org',
      'taskflow_task',
      'taskflow_user',
    ]);
    expect(await bootstrap({ adminUrl, passwords })).toEqual([]);
  });

  it('makes roles without powers, in UTC', async () => {
    for (const subgraph of subgraphs) {
      for (const role of roles) {
        const [row] = await ask(
          login(subgraph, role),
          `select rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication as "hasPower",
             current_setting('timezone') as timezone from pg_roles where rolname = current_user`,
        );
        expect(row).toEqual({ hasPower: false, timezone: 'UTC' });
      }
    }
  });

  it('lets nobody into the database of another subgraph', async () => {
    await expect(ask(login('org', 'app', 'taskflow_task'), 'select 1')).rejects.toMatchObject({
      code: '42501',
    });
    await expect(ask(login('org', 'owner', 'taskflow_task'), 'select 1')).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('lets only the owner make tables', async () => {
    for (const role of ['app', 'system'] as const) {
      const making = ask(login('task', role), 'create table mine (id int)');
      await expect(making).rejects.toMatchObject({ code: '42501' });
    }
    await ask(login('task', 'owner'), 'create table mine (id int); drop table mine');
  });

  it('takes away powers that a role has been given, and sets the password that it is told', async () => {
    const { adminUrl } = server;
    await ask(adminUrl, "alter role taskflow_task_app bypassrls createdb password 'other'");
    await bootstrap({ adminUrl, passwords, subgraphs: ['task'] });
    expect(
      await ask(
        login('task', 'app'),
        'select rolbypassrls, rolcreatedb from pg_roles where rolname = current_user',
      ),
    ).toEqual([{ rolbypassrls: false, rolcreatedb: false }]);
  });

  it('never sends a password to the server', async () => {
    const { adminUrl } = server;
    await ask(adminUrl, "alter system set log_statement = 'all'; ");
    await ask(adminUrl, 'select pg_reload_conf()');
    await bootstrap({ adminUrl, passwords });
    const log = await readFile(`${server.dir}/postgres.log`, 'utf8');
    await ask(adminUrl, 'alter system reset log_statement');
    expect(log).toContain('alter role taskflow_user_app login password');
    for (const password of Object.values(passwords)) expect(log).not.toContain(password);
  });

  it('is content with an administrator who is no superuser', async () => {
    const { adminUrl } = server;
    for (const subgraph of subgraphs) {
      await ask(adminUrl, `drop database taskflow_${subgraph}`);
      for (const role of roles) await ask(adminUrl, `drop role ${roleOf(subgraph, role)}`);
    }
    await ask(adminUrl, "create role manager login createdb createrole password 'manager'");
    const url = new URL(adminUrl);
    url.username = 'manager';
    url.password = 'manager';
    expect(await bootstrap({ adminUrl: url.href, passwords })).toHaveLength(4);
    expect(await bootstrap({ adminUrl: url.href, passwords })).toEqual([]);
    for (const subgraph of subgraphs) {
      const all = readdirSync(new URL(`${subgraph}/migrations`, import.meta.url)).filter((name) =>
        /^\d/.test(name),
      );
      expect(await migrate({ subgraph, url: login(subgraph, 'owner') })).toHaveLength(all.length);
    }
  });
});

describe('the passwords', () => {
  it('come out of the addresses, percent signs and all', () => {
    const addresses = { ...readAddresses({}) };
    addresses.TASK_SYSTEM_DATABASE_URL = 'postgresql://taskflow_task_system:p%40ss%25@db:5432/taskflow_task';
    expect(passwordsOf(addresses).taskflow_task_system).toBe('p@ss%');
    expect(new pg.Client({ connectionString: addresses.TASK_SYSTEM_DATABASE_URL }).password).toBe('p@ss%');
  });

  it('of a role that no policy names are refused', () => {
    const addresses = { ...readAddresses({}), ORG_DATABASE_URL: 'postgresql://somebody:x@db/taskflow_org' };
    expect(() => passwordsOf(addresses)).toThrow(
      'ORG_DATABASE_URL logs in as somebody: the policies of the tables name taskflow_org_app',
    );
  });
});
