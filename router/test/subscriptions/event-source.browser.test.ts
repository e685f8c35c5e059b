/** The EventSource of a real Chromium: what it says of itself, and how it comes back. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { aWorld, until, type World } from './world.ts';

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';
const EVENTS =
  'subscription ($after: String) { taskEvents(after: $after) { ... on TaskChange { number cursor } } }';

let browser: Browser;
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
});
afterAll(() => browser?.close());

test('of our own page hears events, and after a lost connection goes on where it was: nothing lost, nothing twice', async () => {
  const world = await aWorld({ isAnonymousAllowed: true });
  const page = await ourOwnPage(originOf(world));
  await listen(page, originOf(world));
  await until(() => world.log.open === 1, 'the stream to open');
  world.log.push();
  await expect.poll(() => numbers(page)).toEqual([1]);
  world.cutAll();
  await until(() => world.log.open === 0, 'the stream to end');
  world.log.push();
  world.log.push();
  await expect.poll(() => numbers(page), { timeout: 15_000 }).toEqual([1, 2, 3]);
  expect(world.log.opened).toHaveLength(2);
});

test('of a foreign page is refused before any subgraph hears of it; of an allowed one it is not', async () => {
  const foreign = await anOrigin();
  const allowed = await anOrigin();
  const world = await aWorld({ isAnonymousAllowed: true, origins: [allowed] });
  const strange = await aPage(foreign);
  await listen(strange, originOf(world));
  await expect.poll(() => strange.evaluate('failures')).toBeGreaterThan(0);
  expect([world.answered, world.log.opened]).toEqual([[400], []]);
  const page = await aPage(allowed);
  await listen(page, originOf(world));
  await until(() => world.log.open === 1, 'the stream to open');
  world.log.push();
  await expect.poll(() => numbers(page)).toEqual([1]);
});

const originOf = (world: World) => new URL(world.url).origin.replace('ws:', 'http:');

async function anOrigin(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function aPage(origin: string): Promise<Page> {
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  await page.goto(`${origin}/`);
  return page;
}

/** Answers of the router would not do as pages: their policy lets them connect to nothing. */
async function ourOwnPage(origin: string): Promise<Page> {
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  await page.route(`${origin}/`, (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }),
  );
  await page.goto(`${origin}/`);
  return page;
}

async function listen(page: Page, origin: string): Promise<void> {
  const url = `${origin}/graphql?${new URLSearchParams({ query: EVENTS })}`;
  await page.evaluate(`
    globalThis.numbers = [];
    globalThis.failures = 0;
    const source = new EventSource(${JSON.stringify(url)});
    source.addEventListener('next', ({ data }) => {
      const event = JSON.parse(data).data;
      if (event) numbers.push(event.taskEvents.number);
    });
    source.addEventListener('error', () => failures++);
  `);
}

const numbers = (page: Page) => page.evaluate('numbers');
