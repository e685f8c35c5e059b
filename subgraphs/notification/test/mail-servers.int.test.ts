import { taskAssigned } from '@taskflow/tests/kit/facts';
import { aViewer } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import { describe, expect, it } from 'vitest';
import { aNotification, anOperator, aServer, aSilentServer, mailRequested } from './mail-scene.ts';

const INBOX = '{ notifications { nodes { title } } }';

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
