/** The mailbox in a real Chromium: what a mail may do there, and what it may not. */
import { createLog } from '@taskflow/kit/log';
import { createTransport } from 'nodemailer';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Mailbox, openMailbox } from './mailbox.ts';

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
const LINK = 'http://localhost:1/#reset=pwd_1';
const HOSTILE = `<script>document.title = 'owned'; top.document.title = 'owned'; fetch('https://tracker.test/script')</script>
<img src="https://tracker.test/pixel.gif" onerror="top.document.title = 'owned'"><style>@import 'https://tracker.test/x.css';</style>
<form action="https://tracker.test/form"><button>Win</button></form><p id="run">not run</p>
<script>document.getElementById('run').textContent = 'run'</script><a href="${LINK}">Reset</a>`;

const leaving: string[] = [];
let mailbox: Mailbox;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  mailbox = await openMailbox({
    ...{ smtpPort: 0, pagePort: 0, log: createLog({ process: 'mailbox', level: 'silent' }) },
  });
  const transport = createTransport(mailbox.smtpUrl);
  const from = 'no-reply@localhost';
  await transport.sendMail({ from, to: 'ada@acme.test', subject: 'First', text: 'Hello Ada,' });
  await transport.sendMail({
    ...{ from, to: 'grace@acme.test', subject: '<b>Second</b>', text: `Go to\n${LINK}`, html: HOSTILE },
  });
  transport.close();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  const context = await browser.newContext();
  await context.route(
    (address) => !address.href.startsWith(mailbox.pageUrl),
    (route) => {
      leaving.push(route.request().url());
      return route.abort('internetdisconnected');
    },
  );
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
});

afterAll(async () => {
  await browser?.close();
  await mailbox?.stop();
});

test('lists what arrived, newest first, and finds it by its recipient', async () => {
  await page.goto(mailbox.pageUrl);
  expect(await page.locator('tbody a').allInnerTexts()).toEqual(['<b>Second</b>', 'First']);
  await page.getByLabel('Recipient').fill('ADA');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.waitForURL(/to=ADA/);
  expect(await page.locator('tbody a').allInnerTexts()).toEqual(['First']);
});

test('shows HTML that can neither run, nor load, nor send, nor reach the page around it', async () => {
  await page.goto(mailbox.pageUrl);
  await page.getByRole('link', { name: 'Second' }).click();
  const frame = page.frameLocator('iframe');
  expect(await frame.locator('#run').textContent()).toBe('not run');
  await frame.getByRole('button', { name: 'Win' }).click();
  expect(await page.title()).toContain('Second');
  const [shown] = (await fetch(`${mailbox.pageUrl}/mails.json`).then((answer) => answer.json())) as {
    id: string;
  }[];
  const alone = await page.context().newPage();
  await alone.goto(`${mailbox.pageUrl}/mails/${shown?.id}/html`);
  expect(await alone.locator('#run').textContent()).toBe('not run');
  expect(await alone.title()).not.toBe('owned');
  await alone.close();
  expect(leaving).toEqual([]);
});

test('follows the links of a mail into a tab of their own, from the text and from the HTML', async () => {
  const links = [page.locator('pre a'), page.frameLocator('iframe').getByRole('link', { name: 'Reset' })];
  for (const link of links) {
    leaving.length = 0;
    const [tab] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
    await expect.poll(() => leaving).toEqual(['http://localhost:1/']);
    await tab.close();
  }
});
