/** What the tests of this folder say again and again: a service, and people who sign in to it as the router would let them. */
import { randomBytes } from 'node:crypto';
import { parseKeyRing } from '@taskflow/kit/config';
import { type Viewer, verifyEstablished } from '@taskflow/kit/identity';
import { createSealer } from '@taskflow/kit/seal';
import { bindingOfMail, type FactOf } from '@taskflow/schema/events';
import type { Answer } from '@taskflow/tests/kit/client';
import { aSubgraph, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import pg from 'pg';
import { afterAll } from 'vitest';
import { readUserConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

export const PASSWORD = 'correct horse battery';
export const ABSENT = '01900000-0000-7000-8000-000000000000';

export const ERRORS = 'success userErrors { code message field retryAfterMs }';
export const AUTH = `${ERRORS} accessToken accessTokenExpiresAt refreshToken syncId
  user { id name email role status isViewer version }`;

export const REGISTER = `mutation ($input: RegisterInput!) { register(input: $input) { ${AUTH} } }`;
export const LOGIN = `mutation ($input: LoginInput!) { login(input: $input) { ${AUTH} } }`;
export const REFRESH = `mutation ($input: TokenRefreshInput!) { tokenRefresh(input: $input) { ${AUTH} } }`;
export const LOGOUT = `mutation { logout { ${ERRORS} } }`;
export const INVITE = `mutation ($input: InviteCreateInput!) { inviteCreate(input: $input) {
  ${ERRORS} token syncId invite { id email role expiresAt createdAt acceptedAt invitedBy { id } } } }`;
export const ACCEPT = `mutation ($input: InviteAcceptInput!) { inviteAccept(input: $input) { ${AUTH} } }`;

export const CHANGE_PASSWORD = `mutation ($input: PasswordChangeInput!) { passwordChange(input: $input) { ${AUTH} } }`;
export const REQUEST_RESET = `mutation ($input: PasswordResetRequestInput!) {
  passwordResetRequest(input: $input) { ${ERRORS} syncId user { id } } }`;
export const RESET = `mutation ($input: PasswordResetInput!) { passwordReset(input: $input) { ${AUTH} } }`;
export const SEND_VERIFICATION = `mutation ($input: EmailVerificationSendInput!) {
  emailVerificationSend(input: $input) { ${ERRORS} user { id emailVerifiedAt } } }`;
export const VERIFY = `mutation ($input: EmailVerifyInput!) {
  emailVerify(input: $input) { ${ERRORS} user { id emailVerifiedAt } } }`;
export const CHANGE_EMAIL = `mutation ($input: EmailChangeRequestInput!) {
  emailChangeRequest(input: $input) { ${ERRORS} user { email } } }`;
export const CONFIRM_EMAIL = `mutation ($input: EmailChangeConfirmInput!) {
  emailChangeConfirm(input: $input) { ${ERRORS} isComplete syncId user { email } } }`;

export interface Auth {
  success: boolean;
  userErrors: { code: string; message: string; field: string | null; retryAfterMs: number | null }[];
  accessToken: string;
  accessTokenExpiresAt: string;
  refreshToken: string;
  syncId: string | null;
  user: { id: string; name: string; email: string; role: string; status: string; version: number };
}

export interface Person extends Auth {
  email: string;
  viewer: Viewer;
}

export interface Claims {
  idempotencyKey?: string;
  clientAddress?: string;
  userAgent?: string;
}

export interface Scene {
  user: TestSubgraph;
  redis: { url: string; prefix: string };
  /** As the administrator of the database, behind every wall. */
  sql<R extends object>(text: string, values?: unknown[]): Promise<R[]>;
  /** Sends a credential mutation as nobody. */
  send(query: string, input: object, claims?: Claims): Promise<Answer & { auth: Auth }>;
  founder(name?: string): Promise<Person>;
  invite(by: Person, email: string, role?: string): Promise<string>;
  colleague(of: Person, role?: string): Promise<Person>;
  /** Who an answer says is signed in. */
  viewerOf(answer: Answer): Viewer;
  /** The mails that were asked for to an address, with their tokens, the oldest first. */
  mailsTo(email: string): Promise<Mail[]>;
}

export interface Mail {
  template: string;
  token: string;
  values: Record<string, string>;
  orgId: string;
}

const unique = () => randomBytes(5).toString('hex');
export const anEmail = (name = 'ada') => `${name}-${unique()}@acme.test`;

/** Call it in beforeAll. `env` goes over the defaults of development. */
export async function aScene(env: NodeJS.ProcessEnv = {}): Promise<Scene> {
  const redis = { url: '', prefix: '' };
  const user = await aSubgraph('user', (defaults, deps) => {
    Object.assign(redis, { url: defaults.REDIS_URL, prefix: deps.redisPrefix });
    return createService(readUserConfig({ ...defaults, ...env }), deps);
  });
  const admin = new pg.Client({ connectionString: user.database.adminUrl });
  admin.on('error', () => {}); // the database is dropped beneath it when the file is done
  await admin.connect();
  afterAll(() => admin.end());

  const viewerOf = (answer: Answer) =>
    verifyEstablished(user.ring, answer.headers.get('taskflow-established') ?? undefined).viewer;

  async function send(query: string, input: object, claims: Claims = {}) {
    const answer = await user.send(null, query, { input }, claims);
    const [auth] = Object.values(answer.data ?? {}) as [Auth];
    return { ...answer, auth };
  }

  async function signedIn(answer: Answer & { auth: Auth }): Promise<Person> {
    if (!answer.auth?.success) throw new Error(`nobody was signed in: ${answer.text}`);
    return { ...answer.auth, email: answer.auth.user.email, viewer: viewerOf(answer) };
  }

  async function invite(by: Person, email: string, role = 'MEMBER'): Promise<string> {
    const { inviteCreate } = await user.ask(by.viewer, INVITE, { input: { email, role } });
    if (!inviteCreate.token) throw new Error(`nobody was invited: ${JSON.stringify(inviteCreate)}`);
    return inviteCreate.token;
  }

  const sealer = createSealer(parseKeyRing(readUserConfig(env).MAIL_SEAL_KEY));
  async function mailsTo(email: string): Promise<Mail[]> {
    const { rows } = await admin.query<{ fact: FactOf<'mail.requested'> }>(
      `select envelope as fact from outbox
         where type = 'mail.requested' and envelope #>> '{after,to}' = $1 order by id`,
      [email],
    );
    return rows.map(({ fact: { orgId, after } }) => ({
      ...{ template: after.template, values: after.values, orgId },
      token: after.sealed === null ? '' : (sealer.open(after.sealed, bindingOfMail(after)) ?? ''),
    }));
  }

  return {
    ...{ user, redis, send, viewerOf, invite, mailsTo },
    sql: async (text, values) => (await admin.query(text, values)).rows,
    async founder(name = 'Ada') {
      const input = { name, email: anEmail(), password: PASSWORD, organizationName: `${name} & Co` };
      return signedIn(await send(REGISTER, input));
    },
    async colleague(of, role = 'MEMBER') {
      const token = await invite(of, anEmail('grace'), role);
      return signedIn(await send(ACCEPT, { token, name: 'Grace', password: PASSWORD }));
    },
  };
}
