import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { parseKeyRing } from '@taskflow/kit/config';
import { createSealer } from '@taskflow/kit/seal';
import { bindingOfMail, type FactOf, makeFact } from '@taskflow/schema/events';
import { taskAssigned } from '@taskflow/tests/kit/facts';
import { aMailbox, type TestMailbox } from '@taskflow/tests/kit/mailbox';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readNotificationConfig } from '../src/config.ts';
import { mailQueue } from '../src/data/mails.ts';
import { createService } from '../src/service.ts';

const SEAL_KEY = `test:${randomUUID()}${randomUUID()}`;
const sealer = createSealer(parseKeyRing(SEAL_KEY));
const INBOX = '{ notifications { nodes { title } } }';

type Image = FactOf<'mail.requested'>['after'];

function mailRequested(changes: Partial<Image> & { token?: string | null } = {}) {
  const { token = 'pwd_0198_secret', ...given } = changes;
  const image = { to: `ada-${randomUUID()}@acme.test`, template: 'PASSWORD_RESET', ...given };
  return makeFact({
    type: 'mail.requested',
    ...{ orgId: randomUUID(), aggregate: { id: randomUUID(), version: 1 }, actor: { userId: null } },
    ...{ requestId: 'test', before: null },
    after: {
      ...{ locale: null, values: { name: 'Ada' } },
      ...{ sealed: token === null ? null : sealer.seal(token, bindingOfMail(image)) },
      ...image,
    },
  });
}

const aNotification = (smtpUrl: string | undefined): Promise<TestSubgraph> =>
  aSubgraph('notification', (env, deps) => {
    const mail = { MAIL_SEAL_KEY: SEAL_KEY, NOTIFICATION_MAIL_LINK_BASE: 'https://tasks.test/' };
    const config = readNotificationConfig({ ...env, ...mail, NOTIFICATION_SMTP_URL: smtpUrl });
    return createService(config, deps);
  });

interface MailRow {
  state: string;
  attempts: number;
  last_error: string | null;
  sealed: string | null;
  template_values: object;
  recipient: string;
  due_in_ms: number;
}

/** The database as an operator sees it. */
async function anOperator({ database }: TestSubgraph) {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  // The database may be dropped before it.
  client.on('error', () => {});
  afterAll(() => client.end());
  const stateOf = async (fact: { id: string }): Promise<MailRow | undefined> => {
    const text = `select *, (extract(epoch from next_attempt_at - now()) * 1000)::float8 as due_in_ms from mails where fact_id = $1`;
    return (await client.query(text, [fact.id])).rows[0];
  };
  return {
    stateOf,
    untilState: (fact: { id: string }, state: string, attempts = 1) =>
      until(`a mail that is ${state}`, async () => {
        const row = await stateOf(fact);
        return row?.state === state && row.attempts >= attempts ? row : null;
      }),
    untilTried: (fact: { id: string }) =>
      until('an attempt to be over', async () => {
        const row = await stateOf(fact);
        return row?.last_error ? row : null;
      }),
    /** As a replica leaves it that dies in its first attempt. */
    insertTaken: async (fact: FactOf<'mail.requested'>) => {
      const text = `insert into mails (org_id, id, fact_id, recipient, template, sealed, attempts, next_attempt_at)
        values ($1, $2, $3, $4, $5, $6, 1, now() + interval '90 seconds')`;
      const { to, template, sealed } = fact.after;
      await client.query(text, [fact.orgId, fact.aggregate.id, fact.id, to, template, sealed]);
    },
    /** Lets the time pass, for this mail. */
    age: async (fact: { id: string }, by: string) => {
      const text = `update mails set next_attempt_at = next_attempt_at - $2::interval, created_at = created_at - $2::interval
        where fact_id = $1`;
      await client.query(text, [fact.id, by]);
    },
  };
}

/** A mail server of a test, which refuses what it is told to. Answers its address. */
async function aServer(options: SMTPServerOptions): Promise<string> {
  const server = new SMTPServer({ logger: false, closeTimeout: 100, ...options });
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  onTestFinished(() => new Promise<void>((done) => server.close(done)));
  return `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

/** A server that takes every connection and never says a word. */
async function aSilentServer(): Promise<{ url: string; connections(): number }> {
  let count = 0;
  const server = createServer(() => {
    count += 1;
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => server.close());
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => count,
  };
}

describe('a mail that was asked for', () => {
  let mailbox: TestMailbox;
  let notification: TestSubgraph;
  let operator: Awaited<ReturnType<typeof anOperator>>;

  beforeAll(async () => {
    mailbox = await aMailbox();
    notification = await aNotification(mailbox.smtpUrl);
    operator = await anOperator(notification);
  });

  it('arrives, with the token in the fragment of its link and by itself', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const fact = mailRequested({ values: { name: 'Ada', expiresAt } });
    await notification.deliver(fact);
    const mail = await mailbox.mailTo(fact.after.to);
    expect(mail).toMatchObject({
      ...{ subject: 'Reset your TaskFlow password', template: 'PASSWORD_RESET', token: 'pwd_0198_secret' },
      ...{ messageId: `<${fact.aggregate.id}@localhost>`, from: 'no-reply@localhost', to: [fact.after.to] },
    });
    expect(mail.text).toContain('Hello Ada,');
    expect(mail.text).toContain('https://tasks.test/#reset=pwd_0198_secret');
    expect(mail.text).toMatch(/mutation passwordReset:\npwd_0198_secret/);
    expect(mail.html).toContain('href="https://tasks.test/#reset=pwd_0198_secret"');
  });

  it('leaves neither token nor values behind, only what an operator needs', async () => {
    const fact = mailRequested();
    await notification.deliver(fact);
    const row = await operator.untilState(fact, 'SENT');
    expect(row).toMatchObject({ sealed: null, template_values: {}, attempts: 1, last_error: null });
    expect(row.recipient).toBe(fact.after.to);
  });

  it('is sent once, however often the fact is delivered', async () => {
    const fact = mailRequested();
    await notification.deliver(fact, fact);
    await mailbox.mailTo(fact.after.to);
    const later = mailRequested({ to: fact.after.to, template: 'PASSWORD_CHANGED', token: null });
    await notification.deliver(fact, later);
    await mailbox.mailTo(fact.after.to, 'PASSWORD_CHANGED');
    expect(mailbox.mailsTo(fact.after.to)).toHaveLength(2);
  });

  it('cannot grow a header or a recipient out of a name', async () => {
    const evil = 'Eve\r\nBcc: all@acme.test\r\n\r\n<script>alert(1)</script>';
    const fact = mailRequested({
      ...{ template: 'INVITE', values: { name: evil, organizationName: evil, inviterName: evil } },
    });
    await notification.deliver(fact);
    const mail = await mailbox.mailTo(fact.after.to);
    expect(mail.to).toEqual([fact.after.to]);
    expect(mail.subject).toBe(
      'You are invited to Eve Bcc: all@acme.test <script>alert(1)</script> on TaskFlow',
    );
    expect(mail.html).not.toContain('<script>');
    expect(mailbox.mailsTo('all@acme.test')).toEqual([]);
  });

  it.each([
    ['a recipient that is two', { to: 'ada@acme.test, eve@acme.test' }, 'the recipient is no address'],
    ['a recipient with a line break', { to: 'ada@acme.test\r\nBcc: x@y.z' }, 'the recipient is no address'],
    ['a link that has expired', { values: { expiresAt: '2020-01-01T00:00:00.000Z' } }, 'expired'],
  ])('is given up when it has %s', async (_what, changes, reason) => {
    const fact = mailRequested(changes);
    await notification.deliver(fact);
    const row = await operator.untilState(fact, 'FAILED');
    expect(row.last_error).toContain(reason);
    expect(row).toMatchObject({ sealed: null, template_values: {} });
  });

  it.each([
    ['a template of a later release', { template: 'FAREWELL' }, 'its template is unknown'],
    ['a token of another key', { sealed: sealer.seal('t', 'mail:INVITE:eve@acme.test') }, 'MAIL_SEAL_KEY'],
  ])(
    'waits when it has %s: another release, or another configuration, may send it',
    async (_what, changes, reason) => {
      const fact = mailRequested(changes);
      await notification.deliver(fact);
      const row = await until('the first attempt to be over', async () => {
        const found = await operator.stateOf(fact);
        return found?.last_error ? found : null;
      });
      expect(row.state).toBe('QUEUED');
      expect(row.last_error).toContain(reason);
    },
  );

  it('that a replica took before it died is sent by another when the lease has run out', async () => {
    const fact = mailRequested();
    await operator.insertTaken(fact);
    await operator.age(fact, '60 seconds');
    expect(mailbox.mailsTo(fact.after.to)).toEqual([]);
    await operator.age(fact, '30 seconds');
    await mailbox.mailTo(fact.after.to);
    await operator.untilState(fact, 'SENT', 2);
  });

  it('waits while SMTP is down, and is sent when it is back', async () => {
    await mailbox.goDown();
    const fact = mailRequested();
    await notification.deliver(fact);
    const row = await operator.untilTried(fact);
    expect(row).toMatchObject({ state: 'QUEUED', attempts: 1, last_error: 'ESOCKET' });
    expect(row.due_in_ms).toBeGreaterThan(1_000);
    expect(row.due_in_ms).toBeLessThanOrEqual(5_000);
    await mailbox.comeBack();
    await operator.age(fact, '5 seconds');
    expect((await mailbox.mailTo(fact.after.to)).token).toBe('pwd_0198_secret');
    await operator.untilState(fact, 'SENT', 2);
  });

  it('is tried for a day, and then given up', async () => {
    await mailbox.goDown();
    const fact = mailRequested();
    await notification.deliver(fact);
    await operator.untilTried(fact);
    await operator.age(fact, '23 hours');
    await until('another attempt', async () => (await operator.stateOf(fact))?.attempts === 2);
    expect((await operator.stateOf(fact))?.state).toBe('QUEUED');
    await operator.age(fact, '61 minutes');
    const row = await operator.untilState(fact, 'FAILED', 3);
    expect(row).toMatchObject({ sealed: null, template_values: {}, last_error: 'ESOCKET' });
    await mailbox.comeBack();
  });
});

it('two replicas send each mail once between them', async () => {
  const mailbox = await aMailbox();
  const config = (env: NodeJS.ProcessEnv) =>
    readNotificationConfig({ ...env, MAIL_SEAL_KEY: SEAL_KEY, NOTIFICATION_SMTP_URL: mailbox.smtpUrl });
  const replicas: ReturnType<typeof createService>[] = [];
  const notification = await aSubgraph('notification', (env, deps) => {
    replicas.push(createService(config(env), deps));
    return createService(config(env), deps);
  });
  const operator = await anOperator(notification);
  await Promise.all(replicas.map((replica) => replica.start()));
  onTestFinished(async () => void (await Promise.all(replicas.map((replica) => replica.stop()))));
  const to = 'everybody@acme.test';
  const facts = Array.from({ length: 60 }, () => mailRequested({ to }));
  await notification.deliver(...facts);
  for (const fact of facts) expect(await operator.untilState(fact, 'SENT')).toMatchObject({ attempts: 1 });
  const ids = mailbox.mailsTo(to).map(({ messageId }) => messageId);
  expect(ids).toHaveLength(facts.length);
  expect(new Set(ids).size).toBe(facts.length);
});

it('a mail goes to one of those who take at the same time', async () => {
  const notification = await aNotification(undefined);
  const operator = await anOperator(notification);
  const facts = Array.from({ length: 200 }, () => mailRequested());
  await notification.deliver(...facts);
  await notification.settled(...facts);
  const system = new pg.Pool({ connectionString: notification.database.systemUrl, max: 8 });
  onTestFinished(() => system.end());
  const queue = mailQueue({ system }, { leaseMs: 60_000, giveUpAfterMs: 60_000 });
  const rounds = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const taken: string[] = [];
      for (let mails = await queue.take(5); mails.length > 0; mails = await queue.take(5))
        taken.push(...mails.map(({ id }) => id));
      return taken;
    }),
  );
  expect(rounds.flat()).toHaveLength(facts.length);
  expect(new Set(rounds.flat()).size).toBe(facts.length);
  expect(rounds.filter((taken) => taken.length > 0).length).toBeGreaterThan(1);
  expect(await operator.stateOf(facts[0] ?? { id: '' })).toMatchObject({ attempts: 1 });
});

it('what is settled is deleted after a week when it was sent, after a month when it was not, and nothing else', async () => {
  const notification = await aNotification(undefined);
  const operator = await anOperator(notification);
  const [sent, failed, queued, recent] = [mailRequested(), mailRequested(), mailRequested(), mailRequested()];
  await notification.deliver(sent, failed, queued, recent);
  await notification.settled(sent, failed, queued, recent);
  const system = new pg.Pool({ connectionString: notification.database.systemUrl, max: 1 });
  onTestFinished(() => system.end());
  const queue = mailQueue({ system }, { leaseMs: 60_000, giveUpAfterMs: 60_000 });
  const keyOf = (fact: typeof sent) => ({ orgId: fact.orgId, id: fact.aggregate.id, attempts: 0 });
  await queue.markSent(keyOf(sent));
  await queue.markSent(keyOf(recent));
  await queue.markFailed(keyOf(failed), 'a reason');
  for (const fact of [sent, failed, queued]) await operator.age(fact, '8 days');
  await queue.deleteSettled();
  const left = async () => {
    const states: (string | undefined)[] = [];
    for (const fact of [sent, failed, queued, recent]) states.push((await operator.stateOf(fact))?.state);
    return states;
  };
  expect(await left()).toEqual([undefined, 'FAILED', 'QUEUED', 'SENT']);
  for (const fact of [failed, queued]) await operator.age(fact, '30 days');
  await queue.deleteSettled();
  expect(await left()).toEqual([undefined, undefined, 'QUEUED', 'SENT']);
});

describe('a mail server', () => {
  it('that never answers delays neither facts nor the inbox nor a request, and the service stops all the same', async () => {
    const silent = await aSilentServer();
    const notification = await aNotification(silent.url);
    const operator = await anOperator(notification);
    const mails = Array.from({ length: 20 }, () => mailRequested());
    await notification.deliver(...mails);
    await until('all connections to be taken', () => silent.connections() >= 5);
    const viewer = aViewer('MEMBER');
    const startedAt = performance.now();
    const notices = Array.from({ length: 20 }, () =>
      taskAssigned({ orgId: viewer.orgId, assigneeId: viewer.userId }),
    );
    await notification.deliver(...notices);
    await notification.settled(...mails, ...notices);
    const { notifications } = await notification.ask(viewer, INBOX);
    expect(notifications.nodes).toHaveLength(20);
    // An attempt that hangs lasts ten seconds.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    const stoppedAt = performance.now();
    await notification.stop();
    expect(performance.now() - stoppedAt).toBeLessThan(8_000);
    const row = await operator.stateOf(mails[0] ?? { id: '' });
    expect(row).toMatchObject({ state: 'QUEUED', last_error: 'cut off' });
    expect(row?.due_in_ms).toBeLessThanOrEqual(0);
  });

  it('that is not configured keeps mails queued, untouched', async () => {
    const notification = await aNotification(undefined);
    const operator = await anOperator(notification);
    const fact = mailRequested();
    await notification.deliver(fact);
    await notification.settled(fact);
    expect(await operator.stateOf(fact)).toMatchObject({ state: 'QUEUED', attempts: 0 });
  });

  it('that asks for a password gets that of its address; a wrong one is mended while mails wait', async () => {
    const taken: string[] = [];
    const server = await aServer({
      ...{ disabledCommands: ['STARTTLS'], allowInsecureAuth: true },
      onAuth({ username, password }, _session, done) {
        const isRight = username === 'taskflow' && password === 'p@ss:word/?';
        done(isRight ? null : Object.assign(new Error(`no ${username}`), { responseCode: 535 }), { user: 1 });
      },
      onRcptTo: ({ address }, _session, done) => {
        taken.push(address);
        done();
      },
    });
    const urlWith = (password: string) => server.replace('//', `//taskflow:${encodeURIComponent(password)}@`);
    const wrong = await aNotification(urlWith('wrong'));
    const operator = await anOperator(wrong);
    const refused = mailRequested();
    await wrong.deliver(refused);
    const row = await operator.untilTried(refused);
    expect(row).toMatchObject({ state: 'QUEUED', last_error: 'EAUTH, the server answered 535' });
    const right = await aNotification(urlWith('p@ss:word/?'));
    const fact = mailRequested();
    await right.deliver(fact);
    await (await anOperator(right)).untilState(fact, 'SENT');
    expect(taken).toEqual([fact.after.to]);
  });

  it.each([
    ['that knows no such recipient ends the mail', '550 5.1.1 no such user ada@acme.test', 'FAILED'],
    ['that refuses to relay does not: that can be mended', '554 5.7.1 ada@acme.test: relay denied', 'QUEUED'],
    ['that asks for patience does not', '451 4.7.1 greylisted, ada@acme.test', 'QUEUED'],
  ])('%s, and its words about the person are not kept', async (_what, reply, state) => {
    const [, code = '', text = ''] = /^(\d{3}) (.*)$/.exec(reply) ?? [];
    const server = await aServer({
      ...{ disabledCommands: ['STARTTLS', 'AUTH'] },
      onRcptTo: (_address, _session, done) =>
        done(Object.assign(new Error(text), { responseCode: Number(code) })),
    });
    const notification = await aNotification(server);
    const operator = await anOperator(notification);
    const fact = mailRequested();
    await notification.deliver(fact);
    const row = await operator.untilTried(fact);
    expect(row).toMatchObject({ state, last_error: `EENVELOPE, the server answered ${code}` });
  });
});
