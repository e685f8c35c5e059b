/**
 * Nothing secret and nobody's words reach a log: every process writes at its most talkative level while people sign in,
 * mistype, are refused, and the servers behind are killed. Then every secret that was in play is searched for in all that
 * was written.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Processes, startProcesses } from '@taskflow/dev/processes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestClient, type TestClient } from '../kit/client.ts';
import { aMember, anOrg, aTask, PASSWORD, type TestPerson } from '../kit/seed.ts';
import { openSocket } from '../kit/socket.ts';
import { until } from '../kit/until.ts';

const canary = (kind: string) => `canary-${kind}-${randomBytes(12).toString('hex')}`;

/** By what they are, so that a failure tells which one sang. */
const secrets: Record<string, string> = {};
const secret = (kind: string, value: string = canary(kind)): string => {
  secrets[`${kind} ${Object.keys(secrets).length}`] = value;
  return value;
};

let dir: string;
let processes: Processes;
let client: TestClient;
let written = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'taskflow-canaries-'));
  const env = {
    LOG_LEVEL: 'trace',
    ROUTER_COOKIES: 'insecure',
    USER_SIGNING_KEY_SECRET: secret('signing-key'),
    USER_REFRESH_KEY: secret('refresh-key'),
    ...Object.fromEntries(
      ['USER', 'ORG', 'TASK', 'NOTIFICATION'].flatMap((name) => [
        [`${name}_CONTEXT_KEY`, `k1:${secret('context-key')}`],
        [`${name}_CURSOR_KEY`, `k1:${secret('cursor-key')}`],
      ]),
    ),
  };
  processes = await startProcesses({
    ...{ dir, ports: 'free', env },
    onOutput: (_, text) => {
      written += text;
    },
  });
  client = createTestClient(processes.routerUrl);
}, 120_000);

afterAll(async () => {
  await processes?.stop();
  await rm(dir, { recursive: true, force: true });
});

function noteTokensOf(...people: TestPerson[]): void {
  for (const { accessToken, refreshToken, email } of people) {
    secret('access token', accessToken.split('.')[2] ?? '');
    secret('refresh token', refreshToken.split('_').slice(2).join('_'));
    secret('address', email);
  }
}

/** Passwords, tokens and addresses where they belong, and where people put them by mistake. */
async function signInAndMistype(ada: TestPerson): Promise<void> {
  const login = `mutation L($input: LoginInput!) { login(input: $input) { success accessToken refreshToken userErrors { code } } }`;
  const wrong = { email: secret('address', `${canary('unknown')}@acme.test`), password: secret('password') };
  for (const input of [wrong, { email: ada.email, password: secret('password') }])
    await client.send(login, { input });
  const { data } = await client.send<{ login: { accessToken: string; refreshToken: string } }>(login, {
    input: { email: ada.email, password: PASSWORD },
  });
  const [refreshToken, accessToken] = [data?.login.refreshToken ?? '', data?.login.accessToken ?? ''];
  secret('refresh token', refreshToken.split('_').slice(2).join('_'));
  secret('access token', accessToken.split('.')[2]);
  const refresh = `mutation R($input: TokenRefreshInput!) { tokenRefresh(input: $input) { success refreshToken } }`;
  for (const text of [
    refreshToken,
    refreshToken,
    secret('refresh token'),
    `rt_${ada.organizationId}_${secret('refresh token')}`,
  ]) {
    await client.send(refresh, { input: { refreshToken: text } });
  }
  await client.send(
    `mutation { login(input: { email: "${ada.email}", password: "${secret('password')}" }) { success }`,
  );
  await client.send(
    `mutation { login(input: { email: "${ada.email}", passwrd: "${secret('password')}" }) { success } }`,
  );
  await client.send(login, { input: { email: ada.email, password: { $ne: secret('password') } } });
  await client.send(login, { input: { email: ada.email } }, { 'x-password': secret('password') });
  await client.as(`${secret('access token')}.x.y`).send('{ viewer { id } }');
  await client.as(null).send('{ viewer { id } }', {}, { cookie: `session=${secret('cookie')}` });
  await fetch(`${processes.routerUrl}?token=${secret('access token')}&query=%7B__typename%7D`);
  await fetch(processes.routerUrl, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: `{"query": "{ viewer { id } }", "password": "${secret('password')}`,
  });
  const socket = await openSocket(processes.routerUrl, undefined);
  socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${secret('access token')}` } });
  await socket.closed;
}

/** Keys of machines and cookies of browsers, good, wrong and misplaced. Resolves to the secret of a key. */
async function useKeysAndCookies(ada: TestPerson): Promise<string> {
  const { apiKeyCreate } = await ada.client.ask<{ apiKeyCreate: { secret: string } }>(
    'mutation K($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { success secret } }',
    { input: { name: secret('key name'), scopes: ['READ'] } },
  );
  const key = apiKeyCreate.secret;
  secret('api key', key.slice(-40));
  secret('api key hash', createHash('sha256').update(key).digest('base64url'));
  secret('api key hash', createHash('sha256').update(key).digest('hex'));
  const wrong = `key_${ada.organizationId}_${secret('api key', randomBytes(32).toString('base64url'))}`;
  for (const text of [key, key, wrong, `${key}x`, key.slice(0, -1)])
    await client.as(text).send('{ viewer { id } }');
  await client.as(key).send('mutation { logout { success } }');
  await (await openSocket(processes.routerUrl, key))
    .subscribe('subscription { taskEvents { __typename } }')
    .frame();

  const headers = { 'taskflow-cookies': 'true', origin: 'http://localhost:3000' };
  const login = 'mutation L($input: LoginInput!) { login(input: $input) { success } }';
  const { headers: answered } = await client.send(
    login,
    { input: { email: ada.email, password: PASSWORD } },
    headers,
  );
  const cookies = answered.getSetCookie().map((text) => text.split(';')[0] ?? '');
  for (const text of cookies) secret('cookie', text.slice(-40));
  const cookie = cookies.join('; ');
  const strange = `taskflow-access=${secret('cookie')}; taskflow-refresh=${secret('cookie')}`;
  for (const sent of [cookie, strange]) {
    for (const origin of [headers.origin, 'https://evil.test'])
      await client.send('{ viewer { id } }', {}, { ...headers, origin, cookie: sent });
  }
  const refresh = 'mutation { tokenRefresh(input: {}) { success } }';
  const refreshed = await client.send(refresh, {}, { ...headers, cookie });
  for (const text of refreshed.headers.getSetCookie()) secret('cookie', text.split(';')[0]?.slice(-40));
  return key;
}

/** Words of people, whole and refused; and a value that no column takes. */
async function writeAndBeRefused(ada: TestPerson, grace: TestPerson): Promise<void> {
  const task = await aTask(ada, {
    title: secret('title'),
    description: secret('description'),
    assigneeId: grace.id,
  });
  const update = `mutation U($input: TaskUpdateInput!) { taskUpdate(input: $input) { success } }`;
  for (const title of [secret('title'), `${secret('title')}\u0000`, secret('title').repeat(50)]) {
    await ada.client.send(update, { input: { id: task.id, title } });
  }
  await ada.client.send(`query Q($search: String) { tasks(search: $search) { nodes { id } } }`, {
    search: secret('search'),
  });
  await ada.client.send('{ tasks { nodes { id } } }', {}, { 'idempotency-key': secret('idempotency key') });
  const socket = await openSocket(processes.routerUrl, grace.accessToken);
  const stream = socket.subscribe(
    'subscription { taskEvents { __typename ... on TaskChange { task { title } } } }',
  );
  await stream.frame();
  await ada.client.send(update, { input: { id: task.id, title: secret('title') } });
  await stream.nextOf('TaskChange');
}

/** Each server and process dies while it is asked. */
async function askWhileEverythingDies(ada: TestPerson, key: string): Promise<void> {
  for (const part of ['postgres', 'redis', 'task', 'user'] as const) {
    const asked = Array.from({ length: 20 }, () =>
      ada.client
        .send(`mutation C($input: TaskCreateInput!) { taskCreate(input: $input) { success } }`, {
          input: { title: secret('title') },
        })
        .catch(() => {}),
    );
    await processes.kill(part);
    await Promise.all(asked);
    const unknown = `key_${ada.organizationId}_${secret('api key', randomBytes(32).toString('base64url'))}`;
    for (const text of [key, unknown])
      await client
        .as(text)
        .send('{ viewer { id } }')
        .catch(() => {});
    await ada.client.send('{ viewer { id } tasks { nodes { title } } }').catch(() => {});
    await processes.restart(part);
    await until(
      `${part} to be back`,
      async () => {
        const { errors } = await ada.client.send('{ viewer { id } tasks { nodes { id } } }');
        return errors.length === 0;
      },
      60_000,
    );
  }
}

/** Those that the launcher made up: passwords of the databases' roles, keys that no variable named. */
async function noteMadeUpSecrets(): Promise<void> {
  const name = (await readdir(dir)).find((file) => file.startsWith('secrets'));
  const made = JSON.parse(await readFile(join(dir, name ?? ''), 'utf8')) as Record<string, string>;
  for (const [kind, value] of Object.entries(made)) secret(kind, value);
}

describe('the logs of all five processes', () => {
  it('hold none of the secrets and words that were in play, whatever failed', async () => {
    const ada = await anOrg(client, canary('ada'));
    const grace = await aMember(ada, 'MEMBER', canary('grace'));
    secret('name', ada.name);
    secret('name', grace.name);
    noteTokensOf(ada, grace);
    secret('password', PASSWORD);
    await noteMadeUpSecrets();
    await signInAndMistype(ada);
    const key = await useKeysAndCookies(ada);
    await writeAndBeRefused(ada, grace);
    await askWhileEverythingDies(ada, key);

    expect(Object.keys(secrets).length).toBeGreaterThan(100);
    for (const [kind, value] of Object.entries(secrets))
      expect([kind, value.length >= 12]).toEqual([kind, true]);
    const sang = Object.entries(secrets).filter(([, value]) => written.includes(value));
    const lineOf = (value: string) =>
      written
        .split('\n')
        .find((line) => line.includes(value))
        ?.slice(0, 2_000);
    expect(sang.map(([kind, value]) => `${kind}: ${lineOf(value)}`)).toEqual([]);
  }, 180_000);

  it('were written in plenty, by each of them, down to the smallest level and up to errors', () => {
    const lines = written
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
    const talkers = [...new Set(lines.map(({ process }) => process))].sort();
    expect(talkers).toEqual(['notification', 'org', 'router', 'task', 'user']);
    expect(lines.length).toBeGreaterThan(200);
    const levels = new Set(lines.map(({ level }) => level));
    for (const level of ['info', 'warn']) expect(levels).toContain(level);
  });
});
