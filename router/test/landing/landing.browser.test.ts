/** The landing page in a real Chromium, without the internet: every request that leaves the router is refused. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@taskflow/kit/log';
import { buildSchema, graphql } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { createLanding } from '../../src/landing/landing.ts';

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const PEOPLE = [
  { name: 'Ada', email: 'ada@demo.example', role: 'ORG_ADMIN', organization: 'Acme' },
  { name: 'Grace', email: 'grace@demo.example', role: 'MEMBER', organization: 'Acme' },
];
/** As much of the API as the saved operations of this test need. */
const schema = buildSchema(`
  type Query { tasks(first: Int): TaskConnection! }
  type TaskConnection { totalCount: Int nodes: [Task!]! pageInfo: PageInfo! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Task { key: String! title: String! status: String! priority: String! tags: [String!]! dueAt: String assignee: User
    project: Project }
  type Project { name: String! teams: [Team!] }
  type Team { name: String! }
  type User { name: String! notificationCounts: Counts }
  type Counts { unread: Int! }
  type Mutation { login(input: LoginInput!): AuthPayload! }
  input LoginInput { email: String! password: String! }
  type AuthPayload { success: Boolean! userErrors: [UserError!]! accessToken: String accessTokenExpiresAt: String
    refreshToken: String }
  type UserError { message: String! }
  type Subscription { taskEvents: TaskEvent! }
  union TaskEvent = TaskChange | StreamHeartbeat | ResyncRequired
  type TaskChange { cursor: String! kind: String! changedFields: [String!]! task: Task actor: User }
  type StreamHeartbeat { cursor: String! }
  type ResyncRequired { cursor: String! reason: String! }`);

const EXPLANATION = {
  operation: 'Board',
  executedBy: 'router',
  timings: { preparedMs: 0.4, totalMs: 12.5 },
  statements: 3,
  cost: { requested: 120, actual: 34 },
  calls: [
    {
      ...{ subgraph: 'task', startMs: 0.5, durationMs: 6, statements: 2 },
      ...{ entities: 0, requestBytes: 200, query: '{tasks{nodes{id}}}' },
    },
    {
      ...{ subgraph: 'user', startMs: 6.6, durationMs: 5.5, statements: 1 },
      ...{ entities: 20, requestBytes: 900, query: '{_entities{id}}' },
    },
  ],
  plan: 'QueryPlan { Fetch(service: "task") {} }',
};

const seen: { authorization: string | undefined; query: string; variables: object }[] = [];
const socketTokens: unknown[] = [];
const leaving: string[] = [];
let url = '';
let browser: Browser;
let page: Page;
let stop: () => Promise<void> = async () => {};

function rootFor(authorization: string | undefined) {
  return {
    login: ({ input }: { input: { email: string; password: string } }) => {
      const isKnown = input.password === 'taskflow-demo';
      return {
        success: isKnown,
        userErrors: isKnown ? [] : [{ message: 'Unknown.' }],
        accessToken: `token-of-${input.email}`,
        accessTokenExpiresAt: new Date(Date.now() + 600_000).toISOString(),
        refreshToken: 'r',
      };
    },
    tasks: () => ({
      totalCount: 1,
      nodes: [
        {
          key: 'ENG-1',
          title: `Seen with ${authorization ?? 'no token'}`,
          status: 'TODO',
          priority: 'HIGH',
          tags: [],
        },
      ],
      pageInfo: { hasNextPage: false },
    }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { query, variables } = JSON.parse(String(Buffer.concat(chunks)));
  const { authorization } = request.headers;
  seen.push({ authorization, query, variables });
  const rootValue = rootFor(authorization);
  const result = await graphql({ schema, source: query, variableValues: variables, rootValue });
  const isExplained = request.headers['taskflow-explain'] === 'true' && authorization !== undefined;
  const extensions = isExplained ? { extensions: { explain: EXPLANATION } } : {};
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...result, ...extensions }));
}

beforeAll(async () => {
  const cacheDirectory = await mkdtemp(join(tmpdir(), 'landing-'));
  const log = createLog({ process: 'test', level: 'warn' });
  const landing = createLanding({ log, demo: { password: 'taskflow-demo', people: PEOPLE }, cacheDirectory });
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') return answer(request, response);
    const made = await landing.page(request);
    response.writeHead(made?.status ?? 404, made?.headers ?? {}).end(made?.body);
  });
  const sockets = new WebSocketServer({ server, path: '/graphql' });
  useServer(
    {
      schema,
      onConnect: ({ connectionParams }) => {
        socketTokens.push(connectionParams?.authorization);
      },
      roots: {
        subscription: {
          taskEvents: async function* () {
            const task = { key: 'ENG-2', title: 'A live task', status: 'DONE' };
            yield {
              taskEvents: {
                __typename: 'TaskChange',
                cursor: 'c1',
                kind: 'CREATED',
                changedFields: [],
                task,
              },
            };
            await new Promise(() => {});
          },
        },
      },
    },
    sockets,
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  stop = async () => {
    await browser.close();
    sockets.close();
    for (const client of sockets.clients) client.terminate();
    server.closeAllConnections();
    server.close();
    await rm(cacheDirectory, { recursive: true, force: true });
  };
  page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  await page.route(
    (address) => !address.href.startsWith(url) && address.protocol.startsWith('http'),
    (route) => {
      leaving.push(route.request().url());
      return route.abort('internetdisconnected');
    },
  );
});

afterAll(() => stop());

const response = () => page.locator('.graphiql-response');
const run = () => page.getByRole('button', { name: /Execute query|Stop query/ }).click();

test('a stranger without the internet is greeted by a GraphiQL that works', async () => {
  await page.goto(url);
  // Its editor is built on first sight: 3 s on an idle machine.
  await page.getByText('Apollo Sandbox could not be reached').waitFor({ timeout: 60_000 });
  expect(await page.locator('#people button').allInnerTexts()).toEqual([
    'Ada\nORG_ADMIN of Acme',
    'Grace\nMEMBER of Acme',
  ]);
  expect(await page.locator('#operations button strong').allInnerTexts()).toEqual([
    'Board',
    'Across subgraphs',
    'Live tasks',
    'Create task',
    'Inbox',
  ]);
  await page.locator('.graphiql-query-editor').getByText('query Board').waitFor();
  await run();
  await response().getByText('Seen with no token').waitFor();
});

test('who signs in with one click runs the next query with the token', async () => {
  await page.getByRole('button', { name: /^Grace/ }).click();
  await page.getByText('Signed in as Grace').waitFor();
  await run();
  await response().getByText('Bearer token-of-grace@demo.example').waitFor();
  expect(seen.at(-1)?.authorization).toBe('Bearer token-of-grace@demo.example');
});

test('how the answer came about stands in a panel of its own, and not in the answer', async () => {
  await page.getByRole('button', { name: /How this answer came about/ }).click();
  await page.getByText('in all, 0.4 ms of them before the first call').waitFor();
  const facts = await page.locator('.explain ul li').allInnerTexts();
  expect(facts.slice(1)).toEqual([
    ...['2 calls to subgraphs', '3 SQL statements', '34 points of cost, 120 at most expected'],
  ]);
  expect(await page.locator('.explain ol li').allInnerTexts()).toEqual([
    expect.stringContaining('task 6 ms · 2 SQL'),
    expect.stringContaining('user 5.5 ms · 20 entities · 1 SQL'),
  ]);
  expect(await page.locator('.explain pre').textContent()).toContain('QueryPlan');
  expect(await response().textContent()).not.toContain('explain');
});

test('a saved subscription opens with one click, and its socket carries the token', async () => {
  await page.getByRole('button', { name: /^Live tasks/ }).click();
  await page.locator('.graphiql-query-editor').getByText('subscription LiveTasks').waitFor();
  await run();
  await response().getByText('A live task').waitFor();
  expect(socketTokens).toEqual(['Bearer token-of-grace@demo.example']);
});

test('who follows the link of a mail finds the mutation with its token, which leaves the address', async () => {
  await page.goto(`${url}/?workbench=graphiql#reset=pwd_0198_x`);
  await page.locator('.graphiql-query-editor').getByText('mutation ResetThePassword').waitFor();
  await run();
  await expect.poll(() => seen.at(-1)?.query).toContain('ResetThePassword');
  expect(seen.at(-1)?.variables).toEqual({ input: { token: 'pwd_0198_x', newPassword: '' } });
  expect(page.url()).toBe(`${url}/?workbench=graphiql`);
});

test('where GraphiQL is chosen, no request leaves the machine', async () => {
  expect(leaving.length).toBeGreaterThan(0);
  leaving.length = 0;
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.goto(`${url}/?workbench=graphiql`);
  await page.locator('.graphiql-query-editor').getByText('query Board').waitFor();
  await run();
  await response().getByText('Seen with no token').waitFor();
  expect(leaving).toEqual([]);
  expect(problems).toEqual([]);
});
