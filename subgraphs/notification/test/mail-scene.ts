/** What the tests of mails have in common: facts that ask for them, servers that take them, and the queue as an operator sees it. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { parseKeyRing } from '@taskflow/kit/config';
import { createSealer } from '@taskflow/kit/seal';
import { bindingOfMail, type FactOf, makeFact } from '@taskflow/schema/events';
import { aSubgraph, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, onTestFinished } from 'vitest';
import { readNotificationConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

export const SEAL_KEY = `test:${randomUUID()}${randomUUID()}`;
export const sealer = createSealer(parseKeyRing(SEAL_KEY));
type Image = FactOf<'mail.requested'>['after'];

export function mailRequested(changes: Partial<Image> & { token?: string | null } = {}) {
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

export const aNotification = (smtpUrl: string | undefined): Promise<TestSubgraph> =>
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
export async function anOperator({ database }: TestSubgraph) {
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
export async function aServer(options: SMTPServerOptions): Promise<string> {
  const server = new SMTPServer({ logger: false, closeTimeout: 100, ...options });
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  onTestFinished(() => new Promise<void>((done) => server.close(done)));
  return `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

/** A server that takes every connection and never says a word. */
export async function aSilentServer(): Promise<{ url: string; connections(): number }> {
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
