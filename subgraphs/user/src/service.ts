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
import type { UserConfig } from './config.ts';
import { createContextFactory } from './context.ts';
import { createControl } from './data/control.ts';
import { createDatabase, unscopedTables } from './data/database.ts';
import { createIdentityProviders } from './data/identity-providers.ts';
import { createLoginWindows } from './data/login-windows.ts';
import { createPlanNews } from './data/plan-news.ts';
import { createRequestLimits } from './data/request-limits.ts';
import { createRetention } from './data/retention.ts';
import { createUserStore } from './data/store.ts';
import { createStreamSweeper } from './data/stream-sweeper.ts';
import { createAccessTokens } from './domain/access-tokens.ts';
import { createAccounts } from './domain/accounts.ts';
import { createAfterwards } from './domain/afterwards.ts';
import { createApiKeys } from './domain/api-keys.ts';
import { createCredentialMails } from './domain/credential-mails.ts';
import { createDataExports } from './domain/data-exports.ts';
import { createEmailAddresses } from './domain/email-addresses.ts';
import { createErasures } from './domain/erasures.ts';
import { createInvites } from './domain/invites.ts';
import { createMails } from './domain/mails.ts';
import { createMembers } from './domain/members.ts';
import { createMemberships } from './domain/memberships.ts';
import { createOwnSessions } from './domain/own-sessions.ts';
import { createPasswordChanges } from './domain/password-changes.ts';
import { createPasswords } from './domain/passwords.ts';
import { createPeople } from './domain/people.ts';
import { createProfiles } from './domain/profiles.ts';
import { createProofOfIdentity } from './domain/proof-of-identity.ts';
import { createProviderSignIn } from './domain/provider-sign-in.ts';
import { createSentInvites } from './domain/sent-invites.ts';
import { createSessions } from './domain/sessions.ts';
import { createSigningKeys } from './domain/signing-keys.ts';
import { createUsage } from './domain/usage.ts';
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

/** Below the time for which a new key is published before it signs, so that whoever caches knows it by then. */
const JWKS_HEADERS = { 'cache-control': 'public, max-age=15' };

/** The user subgraph. Builds every part and opens nothing before `start`. */
export function createService(
  config: UserConfig,
  { observe, redisPrefix, rewriteStatement }: ServiceDeps = {},
) {
  const log = createLog({ process: 'user', level: config.LOG_LEVEL });
  const cursors = createCursors(parseKeyRing(config.USER_CURSOR_KEY));
  const database = createDatabase({
    url: config.USER_DATABASE_URL,
    systemUrl: config.USER_SYSTEM_DATABASE_URL,
    poolSize: config.USER_DATABASE_POOL_SIZE,
    systemPoolSize: config.USER_SYSTEM_DATABASE_POOL_SIZE,
    onStatement: observe?.onStatement,
    rewriteStatement,
  });
  const path = createEventPath({
    ...{ service: 'user', ...routesOf('user') },
    ...{ database, cursors, audit: keepingOf(config), redisUrl: config.REDIS_URL, redisPrefix, log },
  });
  database.onCommit(path.poke);
  const auditLog = createAuditLog({ pool: database.pool, source: 'user', cursors });

  const lockRule = { failuresMax: config.USER_LOCK_FAILURES_MAX, lockMs: config.USER_LOCK_MS };
  const store = createUserStore(database, lockRule);
  const keys = createSigningKeys(store.signingKeys, {
    secret: config.USER_SIGNING_KEY_SECRET,
    rereadMs: config.USER_SIGNING_KEY_REREAD_MS,
  });
  const passwords = createPasswords();
  const afterwards = createAfterwards(log);
  const proof = createProofOfIdentity(store, {
    attempts: createLoginWindows(path.redis, store.loginAttempts, { ...lockRule, log }),
    ...{ passwords, afterwards },
  });
  const control = createControl(path.redis, {
    ...{ accessTokenTtlMs: config.USER_ACCESS_TOKEN_TTL_MS, revocations: store.revocations, log },
  });
  const sessions = createSessions(store, {
    refreshKey: config.USER_REFRESH_KEY,
    ttlMs: config.USER_REFRESH_TOKEN_TTL_MS,
    graceMs: config.USER_REFRESH_GRACE_MS,
    control,
    accessTokens: createAccessTokens(keys, {
      issuer: config.USER_TOKEN_ISSUER,
      audience: config.USER_TOKEN_AUDIENCE,
      ttlMs: config.USER_ACCESS_TOKEN_TTL_MS,
      planOf: store.plans.find,
    }),
  });
  const sealer = createSealer(parseKeyRing(config.MAIL_SEAL_KEY));
  const mails = createMails(sealer);
  const erasures = createErasures(store, {
    ...{ passwords, proof, control, sealer, sweeper: createStreamSweeper(path.redis), log },
  });
  const dataExports = createDataExports(store, { mails });
  const credentialMails = createCredentialMails(mails);
  const addresses = createEmailAddresses(store, {
    mails: credentialMails,
    proof,
    ttlMs: config.USER_EMAIL_TOKEN_TTL_MS,
  });
  const passwordChanges = createPasswordChanges(store, {
    ...{ passwords, proof, sessions, control, mails: credentialMails, afterwards },
    resetRequests: createRequestLimits(
      path.redis,
      { name: 'password-reset', max: config.USER_RESET_REQUESTS_MAX, windowMs: 3_600_000 },
      log,
    ),
    resetTtlMs: config.USER_PASSWORD_RESET_TTL_MS,
  });
  const profiles = createProfiles(store);
  const accounts = createAccounts(store, { passwords, proof, sessions, addresses });
  const ttlMs = config.USER_INVITE_TTL_MS;
  const invites = createInvites(store, { passwords, proof, sessions, addresses, control, mails, ttlMs });
  const providerSignIn = createProviderSignIn(store, {
    ...{ accounts, invites, passwords, sealer: createSealer(parseKeyRing(config.USER_SIGN_IN_KEY)) },
    providers: createIdentityProviders(config.USER_SIGN_IN_PROVIDERS, log),
    redirectUris: config.USER_SIGN_IN_REDIRECT_URIS.split(',').map((uri) => uri.trim()),
  });
  const sentInvites = createSentInvites(store, { mails, cursors, ttlMs });
  const members = createMembers(store, { control });
  const apiKeys = createApiKeys(store, { control, cursors });
  const memberships = createMemberships(store, { sessions });
  const ownSessions = createOwnSessions(store, { control, cursors });
  const people = createPeople(store, { cursors });
  const retention = createRetention(database, log);
  const usage = createUsage(store);
  const planNews = createPlanNews(path.redis, { accessTokenTtlMs: config.USER_ACCESS_TOKEN_TTL_MS, log });
  const { transaction } = store;
  const facts = createApply({
    handlers: createHandlers({ control, dataExports, planNews }),
    parse: parseFact,
    transaction,
    log,
  });

  const graphql = createGraphqlService({
    name: 'user',
    host: config.USER_HOST,
    port: config.USER_PORT,
    typeDefs: subgraphSdl('user'),
    resolvers,
    contextRing: parseKeyRing(config.USER_CONTEXT_KEY),
    allowUnsigned: config.USER_ALLOW_UNSIGNED,
    log,
    context: createContextFactory({
      ...{
        accounts,
        addresses,
        apiKeys,
        auditLog,
        dataExports,
        erasures,
        invites,
        members,
        memberships,
        ownSessions,
      },
      ...{ passwordChanges, people, profiles, providerSignIn, sentInvites, sessions, usage },
    }),
    probes: { postgres: database.ping, redis: { ask: path.ping, essential: false } },
    routes: {
      '/.well-known/jwks.json': async () => ({ headers: JWKS_HEADERS, body: await keys.jwks() }),
    },
    anonymousFields: [
      ...['register', 'login', 'tokenRefresh', 'inviteAccept', 'apiKeyIdentify'],
      ...['passwordResetRequest', 'passwordReset', 'emailVerify', 'emailChangeConfirm'],
      ...['signInProviders', 'signInStart', 'signInComplete'],
    ],
    neededScope,
    ...(observe ? { observe } : {}),
    onStop: [erasures.stop, afterwards.stop, control.stop, path.stop, retention.stop, database.close],
  });

  return {
    get url() {
      return graphql.url;
    },
    async start() {
      try {
        await untilReachable('PostgreSQL', database.ping, log);
        await assertProtected(database.pool, { unscopedTables });
        await Promise.all([keys.start(), passwords.warmUp()]);
        path.start(facts);
        control.start();
        retention.start();
        erasures.start();
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
