import {
  auditVariables,
  type Config,
  int,
  keyRing,
  readConfig,
  secret,
  sharedVariables,
  subgraphVariables,
  text,
} from '@taskflow/kit/config';
import { z } from 'zod';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export const variables = {
  ...sharedVariables,
  ...auditVariables,
  ...subgraphVariables('USER', 4001),
  MAIL_SEAL_KEY: keyRing('dev:insecure-for-production-mail-seal-key').describe(
    'Seals the tokens of mails from user to notification; the same for both: "<key id>:<secret>", two comma-separated while rotating; the first seals.',
  ),
  USER_SIGNING_KEY_SECRET: secret('insecure-for-production-user-signing-key-secret').describe(
    'Encrypts the private keys of access tokens in the database; belongs to the database, the same for all replicas.',
  ),
  USER_SIGNING_KEY_REREAD_MS: int(5_000, { min: 100, max: MINUTE_MS }).describe(
    'How old the knowledge of a replica about the signing keys may be.',
  ),
  // Above what replicas take to reread (5 s) and routers to ask again (10 s).
  USER_SIGNING_KEY_ANNOUNCE_MS: int(30_000, { min: 0, max: DAY_MS }).describe(
    'How long a new signing key is published before it signs.',
  ),
  USER_REFRESH_KEY: secret('insecure-for-production-user-refresh-key').describe(
    'Derives refresh tokens from their parents; the same for all replicas. Changing it costs nothing but retries in flight.',
  ),
  USER_TOKEN_ISSUER: text('taskflow').describe('Issuer that access tokens name and the router expects.'),
  USER_TOKEN_AUDIENCE: text('taskflow-api').describe(
    'Audience that access tokens name and the router expects.',
  ),
  // The router remembers what was revoked for 15 minutes: no token may outlive that.
  USER_ACCESS_TOKEN_TTL_MS: int(10 * MINUTE_MS, { min: 1_000, max: 10 * MINUTE_MS }).describe(
    'How long an access token is valid.',
  ),
  USER_REFRESH_TOKEN_TTL_MS: int(7 * DAY_MS, { min: MINUTE_MS, max: 90 * DAY_MS }).describe(
    'How long a refresh token is valid, and a session that is not refreshed.',
  ),
  USER_REFRESH_GRACE_MS: int(10_000, { min: 0, max: MINUTE_MS }).describe(
    'How long the parent of the newest refresh token yields that same token again, for answers that were lost.',
  ),
  USER_INVITE_TTL_MS: int(7 * DAY_MS, { min: MINUTE_MS, max: 90 * DAY_MS }).describe(
    'How long an invite can be accepted.',
  ),
  USER_PASSWORD_RESET_TTL_MS: int(3_600_000, { min: MINUTE_MS, max: DAY_MS }).describe(
    'How long a mailed token to reset a password is good for.',
  ),
  USER_RESET_REQUESTS_MAX: int(100, { min: 1 }).describe(
    'Requests to reset a password from one network address within an hour, at most; three mails an hour go to one account.',
  ),
  USER_EMAIL_TOKEN_TTL_MS: int(DAY_MS, { min: MINUTE_MS, max: 30 * DAY_MS }).describe(
    'How long mailed tokens to prove or change an address are good for.',
  ),
  USER_SIGN_IN_PROVIDERS: signInProviders().describe(
    'OpenID providers to sign in with, as JSON: [{"id": "google", "name": "Google", "issuer": "https://accounts.google.com", "clientId": "…", "clientSecret": "…"}].',
  ),
  USER_SIGN_IN_REDIRECT_URIS: text('http://localhost:4000/sign-in').describe(
    'Addresses that providers may send people back to, comma-separated; the same as at the provider.',
  ),
  USER_SIGN_IN_KEY: keyRing('dev:insecure-for-production-user-sign-in-key').describe(
    'Seals a sign-in between its two halves: "<key id>:<secret>", two comma-separated while rotating; the first seals.',
  ),
  USER_LOCK_FAILURES_MAX: int(5, { min: 1, max: 100 }).describe(
    'Failed sign-ins of an account from one network address before it is locked there.',
  ),
  USER_LOCK_MS: int(15 * MINUTE_MS, { min: 1_000, max: DAY_MS }).describe(
    'How long that lock lasts, and how long a failure is remembered.',
  ),
};

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

function signInProviders() {
  const expectation =
    'expected a JSON list of { id, name, issuer, clientId, clientSecret }, with https issuers';
  const isSafe = (issuer: string) => {
    const url = URL.parse(issuer);
    return url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.includes(url.hostname));
  };
  const provider = z.object({
    id: z.string().regex(/^[a-z0-9-]{1,40}$/),
    name: z.string().min(1).max(100),
    issuer: z.string().refine(isSafe),
    clientId: z.string().min(1),
    clientSecret: z.string().min(1),
  });
  return z
    .string()
    .transform((given, context) => {
      const parsed = z.array(provider).safeParse(jsonOf(given));
      if (parsed.success) return parsed.data;
      context.addIssue({ code: 'custom', message: expectation });
      return z.NEVER;
    })
    .prefault('[]')
    .meta({ default: '[]', secret: true });
}

function jsonOf(given: string): unknown {
  try {
    return JSON.parse(given);
  } catch {
    return null;
  }
}

export type UserConfig = Config<typeof variables>;

/** Parses the environment; throws one ConfigError that names every problem. */
export const readUserConfig = (env: NodeJS.ProcessEnv): UserConfig => readConfig('user', variables, env);
