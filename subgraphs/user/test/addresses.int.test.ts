import { parseFact } from '@taskflow/schema/events';
import { bytesOf } from '@taskflow/tests/kit/client';
import { until } from '@taskflow/tests/kit/until';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ACCEPT,
  anEmail,
  aScene,
  CHANGE_EMAIL,
  CONFIRM_EMAIL,
  LOGIN,
  PASSWORD,
  type Person,
  REGISTER,
  REQUEST_RESET,
  RESET,
  type Scene,
  SEND_VERIFICATION,
  VERIFY,
} from './scene.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await aScene();
});

interface Payload {
  success: boolean;
  userErrors: { code: string; field: string | null }[];
  isComplete?: boolean | null;
  syncId?: string | null;
  user: { id: string; email: string; emailVerifiedAt: string | null } | null;
}

async function send(by: Person | null, query: string, input: object) {
  const answer = await scene.user.send<Record<string, Payload>>(by?.viewer ?? null, query, { input });
  const [payload] = Object.values(answer.data ?? {});
  return { ...answer, payload: payload as Payload };
}
const codeOf = ({ payload }: { payload: Payload }) =>
  payload.success ? 'SUCCESS' : payload.userErrors[0]?.code;

async function tokenTo(email: string, template: string): Promise<string> {
  const mails = await scene.mailsTo(email);
  const mail = mails.findLast((sent) => sent.template === template);
  if (!mail) throw new Error(`no ${template} was sent to ${email}`);
  return mail.token;
}

const USERS = `{ users { nodes { id email emailVerifiedAt } } }`;
const verifiedAt = async (viewer: Person, of: Person) => {
  const { users } = await scene.user.ask(viewer.viewer, USERS);
  return users.nodes.find(({ id }: { id: string }) => id === of.user.id)?.emailVerifiedAt;
};

describe('an address', () => {
  it('is proved by the token that register sends, once, by whoever follows the link', async () => {
    const ada = await scene.founder();
    const token = await tokenTo(ada.email, 'EMAIL_VERIFICATION');
    expect(token).toMatch(new RegExp(`^ver_${ada.viewer.orgId}_`));
    expect(await verifiedAt(ada, ada)).toBeNull();
    const answer = await send(null, VERIFY, { token });
    expect(answer.payload).toMatchObject({ success: true, user: null });
    expect(await verifiedAt(ada, ada)).toEqual(expect.any(String));
    expect(codeOf(await send(ada, VERIFY, { token }))).toBe('NOT_FOUND');
  });

  it('is shown as proved to whom it belongs, when they are signed in', async () => {
    const ada = await scene.founder();
    const answer = await send(ada, VERIFY, { token: await tokenTo(ada.email, 'EMAIL_VERIFICATION') });
    expect(answer.payload.user).toEqual({ id: ada.user.id, emailVerifiedAt: expect.any(String) });
  });

  it('is not proved by accepting an invite, whose token the inviter has seen', async () => {
    const boss = await scene.founder('Boss');
    const grace = await scene.colleague(boss);
    expect(await verifiedAt(boss, grace)).toBeNull();
    await send(null, VERIFY, { token: await tokenTo(grace.email, 'EMAIL_VERIFICATION') });
    expect(await verifiedAt(boss, grace)).toEqual(expect.any(String));
  });

  it('is asked for again neither when somebody joins another organisation', async () => {
    const [ada, bob] = [await scene.founder('Ada'), await scene.founder('Bob')];
    await scene.send(ACCEPT, { token: await scene.invite(bob, ada.email), name: 'Ada', password: PASSWORD });
    const verifications = (await scene.mailsTo(ada.email)).filter((m) => m.template === 'EMAIL_VERIFICATION');
    expect(verifications).toHaveLength(1);
  });

  it('says whether it is proved to its owner and to an ORG_ADMIN alone', async () => {
    const boss = await scene.founder('Boss');
    const [grace, other] = [await scene.colleague(boss), await scene.colleague(boss)];
    await send(null, VERIFY, { token: await tokenTo(grace.email, 'EMAIL_VERIFICATION') });
    expect(await verifiedAt(boss, grace)).toEqual(expect.any(String));
    expect(await verifiedAt(grace, grace)).toEqual(expect.any(String));
    expect(await verifiedAt(other, grace)).toBeNull();
  });

  it('is sent another token on request, which replaces the one before, three within an hour', async () => {
    const ada = await scene.founder();
    const first = await tokenTo(ada.email, 'EMAIL_VERIFICATION');
    for (let n = 0; n < 2; n++) expect(codeOf(await send(ada, SEND_VERIFICATION, {}))).toBe('SUCCESS');
    const { errors } = await send(ada, SEND_VERIFICATION, {});
    expect(errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryable: true } }]);
    const [{ retryAfterMs = 0 } = {}] = errors.map((error) => error.extensions as { retryAfterMs?: number });
    expect(retryAfterMs).toBeGreaterThan(59 * 60_000);
    expect(codeOf(await send(null, VERIFY, { token: first }))).toBe('NOT_FOUND');
    const last = await tokenTo(ada.email, 'EMAIL_VERIFICATION');
    expect(codeOf(await send(null, VERIFY, { token: last }))).toBe('SUCCESS');
    const before = (await scene.mailsTo(ada.email)).length;
    expect(codeOf(await send(ada, SEND_VERIFICATION, {}))).toBe('SUCCESS');
    expect(await scene.mailsTo(ada.email)).toHaveLength(before);
  });

  it('is proved once by a hundred at once', async () => {
    const ada = await scene.founder();
    const token = await tokenTo(ada.email, 'EMAIL_VERIFICATION');
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(null, VERIFY, { token })));
    expect(answers.map(codeOf).filter((code) => code === 'SUCCESS')).toHaveLength(1);
  });
});

describe('a change of address', () => {
  const request = (by: Person, email: string, password = PASSWORD) =>
    send(by, CHANGE_EMAIL, { email, password });
  const tokensOf = async (by: Person, newEmail: string) =>
    [
      await tokenTo(by.email, 'EMAIL_CHANGE_NOTICE'),
      await tokenTo(newEmail, 'EMAIL_CHANGE_CONFIRM'),
    ] as const;

  it.each([['the old one first'], ['the new one first']])(
    'comes to be when both have agreed, %s',
    async (order) => {
      const [ada, email] = [await scene.founder(), anEmail('moved')];
      expect((await request(ada, email.toUpperCase())).payload).toMatchObject({
        success: true,
        user: { email: ada.email },
      });
      const tokens = [...(await tokensOf(ada, email))];
      if (order === 'the new one first') tokens.reverse();
      const [first = '', second = ''] = tokens;
      expect((await send(null, CONFIRM_EMAIL, { token: first })).payload).toMatchObject({
        ...{ success: true, isComplete: false, syncId: null },
      });
      expect(codeOf(await send(null, CONFIRM_EMAIL, { token: first }))).toBe('NOT_FOUND');
      const done = await send(ada, CONFIRM_EMAIL, { token: second });
      expect(done.payload).toMatchObject({ success: true, isComplete: true, user: { email } });
      expect(await verifiedAt(ada, ada)).toEqual(expect.any(String));
      const login = (address: string) => scene.send(LOGIN, { email: address, password: PASSWORD });
      expect((await login(email)).auth.success).toBe(true);
      expect((await login(ada.email)).auth.success).toBe(false);
    },
  );

  it('comes to be when both agree at once', async () => {
    for (let n = 0; n < 5; n++) {
      const [ada, email] = [await scene.founder(), anEmail('moved')];
      await request(ada, email);
      const tokens = await tokensOf(ada, email);
      const answers = await Promise.all(tokens.map((token) => send(null, CONFIRM_EMAIL, { token })));
      expect(answers.map(({ payload }) => payload.isComplete).sort()).toEqual([false, true]);
    }
  });

  it('is told in each organisation of the person, as a fact of a new version', async () => {
    const [ada, bob, email] = [await scene.founder('Ada'), await scene.founder('Bob'), anEmail('moved')];
    await scene.send(ACCEPT, {
      token: await scene.invite(bob, ada.email),
      name: 'Ada B',
      password: PASSWORD,
    });
    await request(ada, email);
    const answers = [];
    for (const token of await tokensOf(ada, email)) answers.push(await send(null, CONFIRM_EMAIL, { token }));
    const rows = await scene.sql<{ envelope: unknown }>(
      `select envelope from outbox where aggregate_id = $1 and type = 'member.updated' order by org_id`,
      [ada.user.id],
    );
    const facts = rows.map(({ envelope }) => parseFact(envelope));
    expect(facts.map(({ orgId }) => orgId)).toEqual([ada.viewer.orgId, bob.viewer.orgId].sort());
    for (const fact of facts) {
      expect(fact).toMatchObject({
        ...{ aggregate: { version: 2 }, actor: { userId: ada.user.id } },
        ...{ before: { email: ada.email }, after: { email } },
      });
    }
    const own = facts.find(({ orgId }) => orgId === ada.viewer.orgId);
    expect(answers[1]?.payload.syncId).toBe(`user.${own?.id}`);
    const { users } = await scene.user.ask(bob.viewer, USERS);
    expect(users.nodes.map((node: { email: string }) => node.email)).toContain(email);
  });

  it('takes the password, under the lock of sign-in', async () => {
    const ada = await scene.founder();
    for (let n = 0; n < 5; n++) {
      expect(codeOf(await request(ada, anEmail(), 'wrong password'))).toBe('INVALID_CREDENTIALS');
    }
    expect(codeOf(await request(ada, anEmail()))).toBe('ACCOUNT_LOCKED');
  });

  it('to an address that is taken is answered alike, tells its owner nothing, and never comes to be', async () => {
    const [ada, bob, free] = [await scene.founder('Ada'), await scene.founder('Bob'), anEmail('free')];
    const before = (await scene.mailsTo(bob.email)).length;
    const taken = await request(ada, bob.email);
    expect(await scene.mailsTo(bob.email)).toHaveLength(before);
    const token = await tokenTo(ada.email, 'EMAIL_CHANGE_NOTICE');
    expect((await send(null, CONFIRM_EMAIL, { token })).payload).toMatchObject({ isComplete: false });
    expect(bytesOf(await request(ada, free))).toBe(bytesOf(taken));
  });

  it('to an address that somebody took meanwhile is refused, and changes nothing', async () => {
    const [ada, email] = [await scene.founder(), anEmail('wanted')];
    await request(ada, email);
    const [old, fresh] = await tokensOf(ada, email);
    const input = { name: 'Eve', email, password: PASSWORD, organizationName: 'Eve & Co' };
    expect((await scene.send(REGISTER, input)).auth.success).toBe(true);
    expect((await send(null, CONFIRM_EMAIL, { token: old })).payload.isComplete).toBe(false);
    expect(codeOf(await send(null, CONFIRM_EMAIL, { token: fresh }))).toBe('NOT_FOUND');
    expect((await scene.send(LOGIN, { email: ada.email, password: PASSWORD })).auth.success).toBe(true);
  });

  it('is replaced by a later one, whose tokens do not complete the one before', async () => {
    const ada = await scene.founder();
    const [first, second] = [anEmail('first'), anEmail('second')];
    await request(ada, first);
    const [oldOfFirst, newOfFirst] = await tokensOf(ada, first);
    await send(null, CONFIRM_EMAIL, { token: oldOfFirst });
    await request(ada, second);
    expect(codeOf(await send(null, CONFIRM_EMAIL, { token: newOfFirst }))).toBe('NOT_FOUND');
    const [oldOfSecond] = await tokensOf(ada, second);
    expect((await send(null, CONFIRM_EMAIL, { token: oldOfSecond })).payload.isComplete).toBe(false);
  });

  it('makes pointless what was sent to the old address', async () => {
    const [ada, email] = [await scene.founder(), anEmail('moved')];
    await scene.send(REQUEST_RESET, { email: ada.email });
    const mail = await until('the mail', async () =>
      (await scene.mailsTo(ada.email)).find(({ template }) => template === 'PASSWORD_RESET'),
    );
    await request(ada, email);
    for (const token of await tokensOf(ada, email)) await send(null, CONFIRM_EMAIL, { token });
    const { auth } = await scene.send(RESET, { token: mail.token, newPassword: 'another horse entirely' });
    expect(auth.userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
  });

  it.each(['no address', '', 'a\0@b.test'])('refuses %j', async (email) => {
    const ada = await scene.founder();
    const { payload } = await request(ada, email);
    expect(payload.userErrors).toMatchObject([{ code: 'BAD_USER_INPUT', field: 'email' }]);
  });

  it('to the present address is refused', async () => {
    const ada = await scene.founder();
    const { payload } = await request(ada, ada.email.toUpperCase());
    expect(payload.userErrors).toMatchObject([{ code: 'BAD_USER_INPUT', field: 'email' }]);
  });
});

describe('userUpdate', () => {
  const UPDATE = `mutation ($input: UserUpdateInput!) { userUpdate(input: $input) { success syncId
    userErrors { code message field ... on ConflictError { changedFields current { ... on User { name version } } } }
    user { id name version } } }`;
  const update = async (by: Person, input: object, idempotencyKey?: string) =>
    (await scene.user.ask(by.viewer, UPDATE, { input }, idempotencyKey ? { idempotencyKey } : {})).userUpdate;

  it('renames oneself in this organisation, with a fact, and writes nothing for the same name', async () => {
    const [ada, bob] = [await scene.founder('Ada'), await scene.founder('Bob')];
    await scene.send(ACCEPT, {
      token: await scene.invite(bob, ada.email),
      name: 'Ada B',
      password: PASSWORD,
    });
    const renamed = await update(ada, { name: ' Countess ' });
    expect(renamed).toMatchObject({ success: true, user: { name: 'Countess', version: 2 } });
    const [row] = await scene.sql<{ envelope: unknown }>(
      `select envelope from outbox where aggregate_id = $1 and type = 'member.updated'`,
      [ada.user.id],
    );
    const fact = parseFact(row?.envelope);
    expect(fact).toMatchObject({ before: { name: 'Ada' }, after: { name: 'Countess' } });
    expect(renamed.syncId).toBe(`user.${fact.id}`);
    expect(await update(ada, { name: 'Countess' })).toMatchObject({ syncId: null, user: { version: 2 } });
    expect(await update(ada, {})).toMatchObject({ success: true, syncId: null, user: { version: 2 } });
    const names = await scene.sql<{ name: string }>('select name from members where id = $1 order by name', [
      ada.user.id,
    ]);
    expect(names).toEqual([{ name: 'Ada B' }, { name: 'Countess' }]);
  });

  it('refuses what was based on an older version, with the person as they are', async () => {
    const ada = await scene.founder();
    await update(ada, { name: 'Countess', expectedVersion: 1 });
    const late = await update(ada, { name: 'Late', expectedVersion: 1 });
    expect(late).toMatchObject({ success: false, user: null });
    expect(late.userErrors).toMatchObject([
      { code: 'CONFLICT', changedFields: ['name'], current: { name: 'Countess', version: 2 } },
    ]);
  });

  it('does its work once per idempotency key', async () => {
    const ada = await scene.founder();
    const answers = [];
    for (let n = 0; n < 2; n++) answers.push(await update(ada, { name: 'Countess' }, 'key-1'));
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[1].user.version).toBe(2);
  });

  it.each([null, '', ' \t', '\u200b', 'x'.repeat(201)])('refuses the name %j', async (name) => {
    const ada = await scene.founder();
    expect((await update(ada, { name })).userErrors).toMatchObject([
      { code: 'BAD_USER_INPUT', field: 'name' },
    ]);
  });
});
