import { aMailbox } from '@taskflow/tests/kit/mailbox';
import { aSubgraph } from '@taskflow/tests/kit/subgraph';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { readNotificationConfig } from '../src/config.ts';
import { mailQueue } from '../src/data/mails.ts';
import { createService } from '../src/service.ts';
import { aNotification, anOperator, mailRequested, SEAL_KEY } from './mail-scene.ts';

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
