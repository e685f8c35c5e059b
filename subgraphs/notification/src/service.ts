import { createApply } from '@taskflow/kit/apply';
import { createAuditLog } from '@taskflow/kit/audit-log';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { parseKeyRing } from '@taskflow/kit/config';
import { createEventPath } from '@taskflow/kit/event-path';
import { createLog } from '@taskflow/kit/log';
import { createCursors } from '@taskflow/kit/page';
import { untilReachable } from '@taskflow/kit/process';
import { createSealer } from '@taskflow/kit/seal';
import { createGraphqlService, type GraphqlServiceOptions } from '@taskflow/kit/service';
import { assertProtected } from '@taskflow/kit/tenant-pool';
import { parseFact, routesOf } from '@taskflow/schema/events';
import { neededScope } from '@taskflow/schema/scopes';
import { subgraphSdl } from '@taskflow/schema/sdl';
import type { NotificationConfig } from './config.ts';
import { createContextFactory } from './context.ts';
import { createDatabase, unscopedTables } from './data/database.ts';
import { mailQueue } from './data/mails.ts';
import { createNotificationStore } from './data/notifications.ts';
import { createMailHistory } from './data/personal-data.ts';
import { ATTEMPT_TIMEOUT_MS, CONNECTIONS_MAX, createSmtp } from './data/smtp.ts';
import { createInbox } from './domain/inbox.ts';
import { createInboxEvents } from './domain/inbox-events.ts';
import { createMailSender } from './domain/mail-sender.ts';
import { createHandlers } from './events/index.ts';
import { resolvers } from './resolvers/index.ts';

export interface ServiceDeps {
  /** Sees each request and each statement that serves one; for counting in tests. */
  observe?: GraphqlServiceOptions['observe'] & { onStatement?(text: string): void };
  /** Separates test runs on one Redis. */
  redisPrefix?: string;
  /** Tests only: the statement that is sent instead, to see what holds when the code forgets its tenant. */
  rewriteStatement?(text: string): string;
}

/** Twice an attempt: what is slow to be marked is not taken again meanwhile. */
const MAIL_LEASE_MS = 2 * ATTEMPT_TIMEOUT_MS;
const MAIL_GIVE_UP_AFTER_MS = 86_400_000;

/** The notification subgraph. Builds every part and opens nothing before `start`. */
export function createService(
  config: NotificationConfig,
  { observe, redisPrefix, rewriteStatement }: ServiceDeps = {},
) {
  const log = createLog({ process: 'notification', level: config.LOG_LEVEL });
  const cursors = createCursors(parseKeyRing(config.NOTIFICATION_CURSOR_KEY));
  const database = createDatabase({
    url: config.NOTIFICATION_DATABASE_URL,
    systemUrl: config.NOTIFICATION_SYSTEM_DATABASE_URL,
    poolSize: config.NOTIFICATION_DATABASE_POOL_SIZE,
    systemPoolSize: config.NOTIFICATION_SYSTEM_DATABASE_POOL_SIZE,
    onStatement: observe?.onStatement,
    rewriteStatement,
  });
  const path = createEventPath({
    ...{ service: 'notification', ...routesOf('notification') },
    ...{ database, cursors, audit: keepingOf(config), redisUrl: config.REDIS_URL, redisPrefix, log },
  });
  database.onCommit(path.poke);
  const auditLog = createAuditLog({ pool: database.pool, source: 'notification', cursors });

  const store = createNotificationStore(database);
  const inbox = createInbox(store, { cursors });
  const events = createInboxEvents(path.events, inbox);
  const { transaction } = store;
  const sealer = createSealer(parseKeyRing(config.MAIL_SEAL_KEY));
  const handlers = createHandlers({ inbox, mailHistory: createMailHistory(database), sealer });
  const facts = createApply({ handlers, parse: parseFact, transaction, log });

  const mails = createMailSender({
    queue: mailQueue(database, { leaseMs: MAIL_LEASE_MS, giveUpAfterMs: MAIL_GIVE_UP_AFTER_MS }),
    postman: config.NOTIFICATION_SMTP_URL
      ? createSmtp({ url: config.NOTIFICATION_SMTP_URL, from: config.NOTIFICATION_MAIL_FROM })
      : null,
    sealer,
    linkBase: config.NOTIFICATION_MAIL_LINK_BASE,
    slots: CONNECTIONS_MAX,
    log,
  });

  const graphql = createGraphqlService({
    name: 'notification',
    host: config.NOTIFICATION_HOST,
    port: config.NOTIFICATION_PORT,
    typeDefs: subgraphSdl('notification'),
    resolvers,
    contextRing: parseKeyRing(config.NOTIFICATION_CONTEXT_KEY),
    allowUnsigned: config.NOTIFICATION_ALLOW_UNSIGNED,
    log,
    context: createContextFactory({ auditLog, inbox, events }),
    probes: { postgres: database.ping, redis: { ask: path.ping, essential: false } },
    anonymousFields: [],
    neededScope,
    ...(observe ? { observe } : {}),
    onStop: [path.stop, mails.stop, database.close],
  });

  return {
    get url() {
      return graphql.url;
    },
    async start() {
      try {
        await untilReachable('PostgreSQL', database.ping, log);
        await assertProtected(database.pool, { unscopedTables });
        path.start({
          ...facts,
          async apply(fact) {
            await facts.apply(fact);
            if (fact.type === 'mail.requested') mails.wake();
          },
        });
        mails.start();
        await graphql.start();
      } catch (error) {
        await graphql.stop();
        throw error;
      }
    },
    stop: graphql.stop,
    call: graphql.call,
    subscribe: graphql.subscribe,
  };
}
