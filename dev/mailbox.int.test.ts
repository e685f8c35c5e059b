import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@taskflow/kit/log';
import { until } from '@taskflow/tests/kit/until';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type CaughtMail, type Mailbox, openMailbox } from './mailbox.ts';

const log = createLog({ process: 'mailbox', level: 'silent' });
const ports = { smtpPort: 0, pagePort: 0, log };
const HOSTILE = `<script>parent.document.title = 'owned'</script><img src="https://tracker.test/x.gif"><a href="https://tasks.test/#reset=t">go</a>`;

let mailbox: Mailbox;

beforeAll(async () => {
  mailbox = await openMailbox(ports);
  afterAll(() => mailbox.stop());
  await send(mailbox, 'ada@acme.test', 'One & <b>only</b>', `Follow https://tasks.test/#reset=pwd_1 <now>`);
  await send(mailbox, 'Grace@acme.test', 'Two', 'No link.', HOSTILE);
});

async function send({ smtpUrl }: Mailbox, to: string, subject: string, text: string, html?: string) {
  const headers = { 'X-TaskFlow-Template': 'PASSWORD_RESET' };
  const transport = createTransport(smtpUrl);
  await transport.sendMail({
    from: 'no-reply@localhost',
    to,
    subject,
    text,
    ...(html ? { html } : {}),
    headers,
  });
  transport.close();
}

async function get(path: string): Promise<Response & { body: unknown }> {
  return fetch(`${mailbox.pageUrl}${path}`);
}

async function idOf(to: string): Promise<string> {
  const [mail] = (await (await get(`/mails.json?to=${to}`)).json()) as CaughtMail[];
  return mail?.id ?? '';
}

describe('the local mailbox', () => {
  it('answers what arrived, newest first, and by a part of the recipient in any case', async () => {
    const all = (await (await get('/mails.json')).json()) as CaughtMail[];
    expect(all.map(({ subject }) => subject)).toEqual(['Two', 'One & <b>only</b>']);
    const found = (await (await get('/mails.json?to=ADA@acme')).json()) as CaughtMail[];
    expect(found).toEqual([all[1]]);
    expect(found[0]).toMatchObject({
      ...{ to: ['ada@acme.test'], from: 'no-reply@localhost', template: 'PASSWORD_RESET', token: 'pwd_1' },
    });
    expect(all[0]).toMatchObject({ to: ['grace@acme.test'], token: null });
    expect(await (await get('/mails.json?to=nobody')).json()).toEqual([]);
    expect(await (await get('/mails.json?template=INVITE')).json()).toEqual([]);
  });

  it('shows whom, when and what in its list, with the words of a mail as text', async () => {
    const html = await (await get('/')).text();
    expect(html).toContain('One &amp; &lt;b&gt;only&lt;/b&gt;');
    expect(html).toContain('grace@acme.test');
    expect(await (await get('/?to=grace')).text()).not.toContain('ada@acme.test');
    expect(await (await get(`/?to=${encodeURIComponent('"><script>')}`)).text()).not.toContain('<script>');
  });

  it('shows the text of a mail with links to follow', async () => {
    const html = await (await get(`/mails/${await idOf('ada')}`)).text();
    expect(html).toContain(
      '<a href="https://tasks.test/#reset=pwd_1" target="_blank" rel="noopener noreferrer">',
    );
    expect(html).toContain('&lt;now&gt;');
    expect(html).toContain('<code>pwd_1</code>');
  });

  it('shows HTML in a sandbox only, also when it is opened by itself', async () => {
    const id = await idOf('grace');
    const page = await get(`/mails/${id}`);
    const html = await page.text();
    expect(html).not.toContain('tracker.test');
    expect(/<iframe[^>]*>/.exec(html)?.[0]).toMatch(/sandbox="allow-popups allow-popups-to-escape-sandbox"/);
    const frame = await get(`/mails/${id}/html`);
    expect(await frame.text()).toContain('tracker.test');
    const policy = frame.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none';.*sandbox allow-popups allow-popups-to-escape-sandbox$/);
    expect(policy).not.toMatch(/script|allow-same-origin|https?:/);
    expect(page.headers.get('content-security-policy')).not.toMatch(/script/);
  });

  it('is read by this machine under its own name only', async () => {
    const { port } = new URL(mailbox.pageUrl);
    const statusFor = (host: string) =>
      new Promise((resolve, reject) =>
        request({ host: '127.0.0.1', port, path: '/mails.json', headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end(),
      );
    expect(await statusFor(`localhost:${port}`)).toBe(200);
    for (const host of ['evil.test', `evil.test:${port}`, 'localhost.evil.test', 'localhost@evil.test'])
      expect(await statusFor(host), host).toBe(403);
    expect((await get('/mails.json')).headers.get('access-control-allow-origin')).toBeNull();
    expect((await fetch(`${mailbox.pageUrl}/`, { method: 'POST' })).status).toBe(405);
    for (const path of ['/mails/1', '/mails/../../etc/passwd', '/mails/__proto__', '/favicon.ico'])
      expect((await get(path)).status, path).toBe(404);
  });
});

describe('a mailbox with a folder', () => {
  async function aFolder(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'taskflow-mails-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    return join(dir, 'mails');
  }

  it('keeps its mails from one start to the next, for its owner alone', async () => {
    const dir = await aFolder();
    const first = await openMailbox({ ...ports, dir });
    await send(first, 'ada@acme.test', 'Kept', 'https://tasks.test/#invite=inv_1');
    const before = first.list();
    await first.stop();
    const [file = ''] = await readdir(dir);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
    const second = await openMailbox({ ...ports, dir });
    onTestFinished(() => second.stop());
    expect(second.list()).toEqual(before);
    expect(second.list()[0]).toMatchObject({ subject: 'Kept', token: 'inv_1', to: ['ada@acme.test'] });
  });

  it('forgets the oldest beyond five hundred, and leaves files of others alone', async () => {
    const dir = await aFolder();
    const first = await openMailbox({ ...ports, dir });
    await first.stop();
    const nameOf = (index: number) => `20260101000000000-${String(index).padStart(4, '0')}.eml`;
    for (let index = 1; index <= 500; index += 1)
      await writeFile(join(dir, nameOf(index)), `Delivered-To: a@b.c\r\nSubject: ${index}\r\n\r\nold`);
    await writeFile(join(dir, 'notes.txt'), 'mine');
    const second = await openMailbox({ ...ports, dir });
    onTestFinished(() => second.stop());
    expect(second.list()).toHaveLength(500);
    await send(second, 'ada@acme.test', 'New', 'new');
    expect(second.list()).toHaveLength(500);
    expect(second.list()[0]?.subject).toBe('New');
    await until('the file to be gone', async () => !(await readdir(dir)).includes(nameOf(1)));
    expect(await readdir(dir)).toContain('notes.txt');
  });
});
