import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { bytesOf } from '@taskflow/tests/kit/client';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ACCEPT,
  type Auth,
  anEmail,
  aScene,
  CHANGE_PASSWORD,
  type Claims,
  LOGIN,
  type Mail,
  PASSWORD,
  type Person,
  REFRESH,
  REQUEST_RESET,
  RESET,
  type Scene,
} from './scene.ts';

let scene: Scene;
let redis: RedisConnections;

beforeAll(async () => {
  scene = await aScene();
  redis = createRedis({ ...scene.redis, log: createLog({ process: 'test', level: 'silent' }) });
  await redis.whenReady();
});
afterAll(() => redis.close());

const NEW_PASSWORD = 'another horse entirely';
const ADDRESS = '203.0.113.1';

const login = (email: string, password = PASSWORD, clientAddress = ADDRESS) =>
  scene.send(LOGIN, { email, password }, { clientAddress });
const refresh = (refreshToken: string) => scene.send(REFRESH, { refreshToken });
const codeOf = ({ auth }: { auth: Auth }) => (auth.success ? 'SUCCESS' : auth.userErrors[0]?.code);

/** As the person, from an address like everybody else. */
async function change(person: Person, newPassword = NEW_PASSWORD, currentPassword = PASSWORD) {
  const input = { currentPassword, newPassword };
  const claims: Claims = { clientAddress: ADDRESS };
  const answer = await scene.user.send(person.viewer, CHANGE_PASSWORD, { input }, claims);
  return { ...answer, auth: (answer.data as { passwordChange: Auth }).passwordChange };
}

async function resetMailsOf(email: string): Promise<Mail[]> {
  return (await scene.mailsTo(email)).filter(({ template }) => template === 'PASSWORD_RESET');
}

/** Asks, and waits for the mail that the answer does not wait for. */
async function resetToken(email: string): Promise<string> {
  const before = (await resetMailsOf(email)).length;
  await scene.send(REQUEST_RESET, { email });
  const mails = await until('the mail', async () => {
    const found = await resetMailsOf(email);
    return found.length > before ? found : null;
  });
  return mails.at(-1)?.token ?? '';
}

const reset = (token: string, newPassword = NEW_PASSWORD) => scene.send(RESET, { token, newPassword });
const isRefused = async ({ viewer }: Person) =>
  (await redis.commands.get(redis.keys.revokedKey(viewer.orgId, viewer.sessionId))) === '1';
const auditOf = async (orgId: string) =>
  (
    await scene.sql<{ action: string }>('select action from audit_entries where org_id = $1 order by id', [
      orgId,
    ])
  ).map(({ action }) => action);

/** Somebody who belongs to two organisations, with a session in each. */
async function inTwoPlaces() {
  const [ada, bob] = [await scene.founder('Ada'), await scene.founder('Bob')];
  const token = await scene.invite(bob, ada.email);
  const joined = await scene.send(ACCEPT, { token, name: 'Ada B', password: PASSWORD });
  const elsewhere = { ...joined.auth, email: ada.email, viewer: scene.viewerOf(joined) };
  return { ada, elsewhere };
}

describe('passwordChange', () => {
  it('ends every other session of the person, here and elsewhere, and gives this one a new pair', async () => {
    const { ada, elsewhere } = await inTwoPlaces();
    const answer = await change(ada);
    expect(answer.auth).toMatchObject({ success: true, user: { id: ada.user.id } });
    expect(scene.viewerOf(answer)).toEqual(ada.viewer);
    expect(codeOf(await refresh(elsewhere.refreshToken))).toBe('INVALID_CREDENTIALS');
    expect(await isRefused(elsewhere)).toBe(true);
    expect(await isRefused(ada)).toBe(false);
    expect(codeOf(await refresh(ada.refreshToken))).toBe('INVALID_CREDENTIALS');
    expect(codeOf(await refresh(answer.auth.refreshToken))).toBe('SUCCESS');
    expect(codeOf(await login(ada.email))).toBe('INVALID_CREDENTIALS');
    expect(codeOf(await login(ada.email, NEW_PASSWORD))).toBe('SUCCESS');
  });

  it('says so in a mail, and in the log of each organisation where it ended something', async () => {
    const { ada, elsewhere } = await inTwoPlaces();
    await change(ada);
    const mails = (await scene.mailsTo(ada.email)).filter(({ template }) => template === 'PASSWORD_CHANGED');
    expect(mails).toEqual([
      {
        ...{ template: 'PASSWORD_CHANGED', token: '', orgId: ada.viewer.orgId },
        values: { name: 'Ada', address: ADDRESS },
      },
    ]);
    for (const { viewer } of [ada, elsewhere])
      expect(await auditOf(viewer.orgId)).toContain('password.changed');
  });

  it('takes the present password under the lock of sign-in, from five wrong ones on', async () => {
    const ada = await scene.founder();
    const codes = [];
    for (let n = 0; n < 3; n++) codes.push(codeOf(await change(ada, NEW_PASSWORD, 'wrong password')));
    for (let n = 0; n < 2; n++) codes.push(codeOf(await login(ada.email, 'wrong password')));
    expect(new Set(codes)).toEqual(new Set(['INVALID_CREDENTIALS']));
    const locked = await change(ada);
    expect(codeOf(locked)).toBe('ACCOUNT_LOCKED');
    expect(locked.auth.userErrors[0]?.retryAfterMs).toBeGreaterThan(14 * 60_000);
    expect(codeOf(await refresh(ada.refreshToken))).toBe('SUCCESS');
  });

  it.each([
    ['the present one', PASSWORD, /differ/],
    ['one that is tried first', 'P@ssword2024', /tried first/],
    ['one with the name in it', 'i am Lovelace!', /name or address/],
    ['one of 7 characters', '7 signs', /8 to 256/],
  ])('refuses %s as the new one, and ends nothing', async (_, newPassword, message) => {
    const ada = await scene.founder('Lovelace');
    const { auth } = await change(ada, newPassword);
    expect(auth.userErrors).toMatchObject([{ code: 'BAD_USER_INPUT', field: 'newPassword' }]);
    expect(auth.userErrors[0]?.message).toMatch(message);
    expect(codeOf(await refresh(ada.refreshToken))).toBe('SUCCESS');
  });

  it('lets nobody in who had proved the old password a moment before', async () => {
    const ada = await scene.founder();
    // The hash is exchanged between the proof and the session, by a trigger: no test can be that fast.
    await scene.sql(`create function exchange() returns trigger language plpgsql as $$ begin
      update accounts set password_hash = password_hash || ' ' where email = '${ada.email}'; return null; end $$`);
    await scene.sql('create trigger exchange after update on login_attempts execute function exchange()');
    try {
      await login(ada.email, 'wrong password');
      await scene.sql(`update accounts set password_hash = trim(password_hash) where email = '${ada.email}'`);
      expect(codeOf(await login(ada.email))).toBe('INVALID_CREDENTIALS');
    } finally {
      await scene.sql('drop trigger exchange on login_attempts');
      await scene.sql('drop function exchange');
    }
  });

  it('changes once of ten at once: the others had proved a password that is none any more', async () => {
    const ada = await scene.founder();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => change(ada, `${NEW_PASSWORD} ${n}`)),
    );
    expect(answers.map(codeOf).filter((code) => code === 'SUCCESS')).toHaveLength(1);
  });
});

describe('passwordResetRequest', () => {
  it('answers the same bytes for a known and an unknown address, and sends to the known one only', async () => {
    const [ada, nobody] = [await scene.founder(), anEmail('nobody')];
    const answers = [];
    for (const email of [nobody, ada.email.toUpperCase()])
      answers.push(await scene.send(REQUEST_RESET, { email }));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(answers[0]?.auth).toEqual({ success: true, userErrors: [], syncId: null, user: null });
    await until('the mail', async () => (await resetMailsOf(ada.email)).length === 1);
    expect(await scene.mailsTo(nobody)).toEqual([]);
  });

  it('does not look for the account before it answers: not even a locked one delays it', async () => {
    const ada = await scene.founder();
    const admin = new pg.Client({ connectionString: scene.user.database.adminUrl });
    await admin.connect();
    try {
      await admin.query('begin');
      await admin.query('lock table accounts in access exclusive mode');
      expect(codeOf(await scene.send(REQUEST_RESET, { email: ada.email }))).toBe('SUCCESS');
      expect(await resetMailsOf(ada.email)).toEqual([]);
    } finally {
      await admin.end();
    }
    await until('the mail', async () => (await resetMailsOf(ada.email)).length === 1);
  });

  it('sends a token of one hour that is bound to the organisation and kept as a hash', async () => {
    const ada = await scene.founder();
    const token = await resetToken(ada.email);
    expect(token).toMatch(new RegExp(`^pwd_${ada.viewer.orgId}_[A-Za-z0-9_-]{43}$`));
    const [mail] = await resetMailsOf(ada.email);
    const leftMs = Date.parse(mail?.values.expiresAt ?? '') - Date.now();
    expect(leftMs).toBeGreaterThan(59 * 60_000);
    expect(leftMs).toBeLessThanOrEqual(60 * 60_000);
    for (const table of ['credential_tokens', 'outbox', 'audit_details']) {
      const rows = JSON.stringify(await scene.sql(`select t::text from ${table} t`));
      expect(rows).not.toContain(token.split('_').slice(2).join('_'));
    }
  });

  it('sends three within an hour to one address, and forgets the others', async () => {
    const ada = await scene.founder();
    const tokens = [];
    for (let n = 0; n < 3; n++) tokens.push(await resetToken(ada.email));
    for (let n = 0; n < 5; n++)
      expect(codeOf(await scene.send(REQUEST_RESET, { email: ada.email }))).toBe('SUCCESS');
    // One after the other: when the last of them is sent, those before were looked at.
    await resetToken((await scene.founder('Bob')).email);
    expect(await resetMailsOf(ada.email)).toHaveLength(3);
    await scene.sql(
      `update credential_tokens set created_at = created_at - interval '1 hour' where account_id = $1`,
      [ada.user.id],
    );
    expect(codeOf(await reset(await resetToken(ada.email)))).toBe('SUCCESS');
    for (const token of tokens) expect(codeOf(await reset(token))).toBe('NOT_FOUND');
  });

  it('sends nothing to who belongs to no organisation any more', async () => {
    const ada = await scene.founder();
    await scene.sql(`update members set status = 'SUSPENDED' where id = $1`, [ada.user.id]);
    await scene.send(REQUEST_RESET, { email: ada.email });
    await resetToken((await scene.founder('Bob')).email);
    expect(await resetMailsOf(ada.email)).toEqual([]);
  });

  it('is refused from one network address after too many, for known and unknown addresses alike', async () => {
    const narrow = await aScene({ USER_RESET_REQUESTS_MAX: '3' });
    const ada = await narrow.founder();
    const ask = (email: string, clientAddress = ADDRESS) =>
      narrow.send(REQUEST_RESET, { email }, { clientAddress });
    for (let n = 0; n < 3; n++) expect(codeOf(await ask(anEmail()))).toBe('SUCCESS');
    const answers = [await ask(anEmail('nobody')), await ask(ada.email)];
    for (const { errors } of answers) {
      expect(errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryable: true } }]);
    }
    expect(codeOf(await ask(ada.email, '203.0.113.2'))).toBe('SUCCESS');
  });

  it('refuses what is no address', async () => {
    const { auth } = await scene.send(REQUEST_RESET, { email: 'ada' });
    expect(auth.userErrors).toMatchObject([{ code: 'BAD_USER_INPUT', field: 'email' }]);
  });
});

describe('passwordReset', () => {
  it('sets the password, signs in, ends all sessions everywhere and proves the address', async () => {
    const { ada, elsewhere } = await inTwoPlaces();
    const token = await resetToken(ada.email);
    const answer = await reset(token);
    expect(answer.auth).toMatchObject({ success: true, user: { id: ada.user.id } });
    expect(scene.viewerOf(answer).userId).toBe(ada.user.id);
    for (const person of [ada, elsewhere]) {
      expect(codeOf(await refresh(person.refreshToken))).toBe('INVALID_CREDENTIALS');
      expect(await isRefused(person)).toBe(true);
      expect(await auditOf(person.viewer.orgId)).toContain('password.reset');
    }
    expect(codeOf(await refresh(answer.auth.refreshToken))).toBe('SUCCESS');
    expect(codeOf(await login(ada.email, NEW_PASSWORD))).toBe('SUCCESS');
    const verified = await scene.sql('select from accounts where id = $1 and email_verified_at is not null', [
      ada.user.id,
    ]);
    expect(verified).toHaveLength(1);
  });

  it('forgets the lock, from every network address', async () => {
    const ada = await scene.founder();
    for (const from of [ADDRESS, '203.0.113.2']) {
      for (let n = 0; n < 6; n++) await login(ada.email, 'wrong password', from);
      expect(codeOf(await login(ada.email, PASSWORD, from))).toBe('ACCOUNT_LOCKED');
    }
    expect(codeOf(await reset(await resetToken(ada.email)))).toBe('SUCCESS');
    for (const from of [ADDRESS, '203.0.113.2']) {
      expect(codeOf(await login(ada.email, NEW_PASSWORD, from))).toBe('SUCCESS');
    }
  });

  it('works once: of a hundred at once one succeeds', async () => {
    const ada = await scene.founder();
    const token = await resetToken(ada.email);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => reset(token, `${NEW_PASSWORD} ${n}`)),
    );
    const codes = answers.map(codeOf);
    expect(codes.filter((code) => code === 'SUCCESS')).toHaveLength(1);
    expect(codes.filter((code) => code === 'NOT_FOUND')).toHaveLength(99);
    const winner = codes.indexOf('SUCCESS');
    expect(codeOf(await login(ada.email, `${NEW_PASSWORD} ${winner}`))).toBe('SUCCESS');
  });

  it('refuses garbage, unknown, used, replaced, expired and another kind with the same bytes', async () => {
    const people = [];
    for (let n = 0; n < 4; n++) people.push(await scene.founder());
    const [ada, used, replaced, expired] = people as [Person, Person, Person, Person];
    const tokens = [];
    for (const { email } of [used, replaced, expired]) tokens.push(await resetToken(email));
    await reset(tokens[0] ?? '');
    await resetToken(replaced.email);
    await scene.sql(`update credential_tokens set expires_at = now() where account_id = $1`, [
      expired.user.id,
    ]);
    const own = await resetToken(ada.email);
    const [verification] = await scene.mailsTo(ada.email);
    const others = [
      ...['', 'garbage', '\0', `${own.slice(0, -43)}${'A'.repeat(43)}`, 'x'.repeat(10_000)],
      ...[own.replace(ada.viewer.orgId, used.viewer.orgId), own.replace('pwd_', 'ver_')],
      ...[verification?.token ?? '', verification?.token.replace('ver_', 'pwd_') ?? ''],
    ];
    const answers = [];
    for (const token of [...tokens, ...others]) answers.push(await reset(token));
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['NOT_FOUND']));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(codeOf(await reset(own))).toBe('SUCCESS');
  });

  it('uses nothing up when the new password is not accepted', async () => {
    const ada = await scene.founder();
    const token = await resetToken(ada.email);
    const { auth } = await reset(token, 'password1');
    expect(auth.userErrors).toMatchObject([{ code: 'BAD_USER_INPUT', field: 'newPassword' }]);
    expect(codeOf(await reset(token))).toBe('SUCCESS');
  });

  it('lets nobody in who was suspended since', async () => {
    const ada = await scene.founder();
    const token = await resetToken(ada.email);
    await scene.sql(`update members set status = 'SUSPENDED' where id = $1`, [ada.user.id]);
    expect(codeOf(await reset(token))).toBe('NOT_FOUND');
  });

  it('is pointless after a password was changed otherwise', async () => {
    const ada = await scene.founder();
    const token = await resetToken(ada.email);
    await change(ada);
    expect(codeOf(await reset(token, 'yet another horse'))).toBe('NOT_FOUND');
  });
});
