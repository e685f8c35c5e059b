import { aMailbox, type TestMailbox } from '@taskflow/tests/kit/mailbox';
import type { TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import { beforeAll, describe, expect, it } from 'vitest';
import { aNotification, anOperator, mailRequested, sealer } from './mail-scene.ts';

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
