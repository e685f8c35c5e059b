import { randomUUID } from 'node:crypto';
import { bytesOf } from '@taskflow/tests/kit/client';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ACCEPT,
  type Auth,
  anEmail,
  aScene,
  INVITE,
  LOGIN,
  PASSWORD,
  type Person,
  type Scene,
} from './scene.ts';

let scene: Scene;
let ada: Person;

beforeAll(async () => {
  scene = await aScene();
  ada = await scene.founder();
});

const accept = (token: string, password = PASSWORD, name = 'Grace') =>
  scene.send(ACCEPT, { token, name, password });
const errorOf = ({ auth }: { auth: Auth }) => auth.userErrors[0];
const membersOf = (orgId: string, email: string) =>
  scene.sql<{ role: string }>('select role from members where org_id = $1 and email = $2', [orgId, email]);

describe('inviteCreate', () => {
  it('shows the token once, keeps its hash only, and says who invited', async () => {
    const email = anEmail('Grace');
    const { inviteCreate } = await scene.user.ask(ada.viewer, INVITE, {
      input: { email: email.toUpperCase(), role: 'MANAGER' },
    });
    const { token, invite } = inviteCreate;
    expect(token).toMatch(new RegExp(`^inv_${ada.viewer.orgId}_[A-Za-z0-9_-]{43}$`));
    expect(invite).toMatchObject({
      ...{ email: email.toLowerCase(), role: 'MANAGER', acceptedAt: null, invitedBy: { id: ada.user.id } },
    });
    const days = (Date.parse(invite.expiresAt) - Date.parse(invite.createdAt)) / 86_400_000;
    expect(days).toBe(7);
    const stored = JSON.stringify(await scene.sql('select i::text from invites i'));
    expect(stored).not.toContain(token.slice(-43));
  });

  it.each(['MANAGER', 'MEMBER', 'GUEST'])('is FORBIDDEN to a %s', async (role) => {
    const colleague = await scene.colleague(ada, role);
    const { inviteCreate } = await scene.user.ask(colleague.viewer, INVITE, {
      input: { email: anEmail(), role: 'GUEST' },
    });
    expect(inviteCreate).toMatchObject({ success: false, token: null, invite: null });
    expect(inviteCreate.userErrors).toMatchObject([{ code: 'FORBIDDEN' }]);
  });

  it('looks at the role that is stored, not only at the one of the token', async () => {
    const boss = await scene.founder();
    await scene.sql(`update members set role = 'MEMBER' where id = $1`, [boss.user.id]);
    const { inviteCreate } = await scene.user.ask(boss.viewer, INVITE, {
      input: { email: anEmail(), role: 'MEMBER' },
    });
    expect(inviteCreate.userErrors).toMatchObject([{ code: 'FORBIDDEN' }]);
  });

  it('refuses a bad address, and the address of a member as a CONFLICT', async () => {
    const grace = await scene.colleague(ada);
    for (const [email, code] of [
      ['nobody', 'BAD_USER_INPUT'],
      [grace.email.toUpperCase(), 'CONFLICT'],
    ]) {
      const { inviteCreate } = await scene.user.ask(ada.viewer, INVITE, { input: { email, role: 'MEMBER' } });
      expect(inviteCreate.userErrors).toMatchObject([{ code, field: 'email' }]);
    }
  });

  it('needs a role', async () => {
    const answer = await scene.user.send(ada.viewer, INVITE, { input: { email: anEmail() } });
    expect(answer.errors).toHaveLength(1);
    expect(answer.status).toBe(400);
  });

  it('replaces the open invite of the same address, also when many invite at once', async () => {
    const email = anEmail();
    const tokens = await Promise.all(Array.from({ length: 10 }, () => scene.invite(ada, email)));
    const open = await scene.sql(
      'select from invites where email = $1 and revoked_at is null and accepted_at is null',
      [email],
    );
    expect(open).toHaveLength(1);
    const codes = [];
    for (const token of tokens) codes.push(errorOf(await accept(token))?.code ?? 'SUCCESS');
    expect(codes.filter((code) => code === 'SUCCESS')).toHaveLength(1);
    expect(codes.filter((code) => code === 'NOT_FOUND')).toHaveLength(9);
  });

  it('answers a repeated request with the same invite and without the token', async () => {
    const input = { email: anEmail(), role: 'MEMBER' };
    const claims = { idempotencyKey: randomUUID() };
    const first = (await scene.user.ask(ada.viewer, INVITE, { input }, claims)).inviteCreate;
    const again = (await scene.user.ask(ada.viewer, INVITE, { input }, claims)).inviteCreate;
    expect(again.invite).toEqual(first.invite);
    expect([first.token === null, again.token]).toEqual([false, null]);
    expect((await accept(first.token)).auth.success).toBe(true);
    const other = await scene.user.send(
      ...([ada.viewer, INVITE, { input: { ...input, role: 'GUEST' } }, claims] as const),
    );
    expect(other.errors).toMatchObject([{ extensions: { code: 'IDEMPOTENCY_KEY_REUSED' } }]);
  });
});

describe('inviteAccept', () => {
  it('makes an account with the invited address and role, signed in', async () => {
    const email = anEmail('grace');
    const answer = await accept(await scene.invite(ada, email, 'MANAGER'));
    expect(answer.auth).toMatchObject({ success: true, user: { email, role: 'MANAGER', name: 'Grace' } });
    expect(scene.viewerOf(answer)).toMatchObject({ orgId: ada.viewer.orgId, role: 'MANAGER' });
    expect((await scene.send(LOGIN, { email, password: PASSWORD })).auth.success).toBe(true);
    const [invite] = await scene.sql<{ by: string }>(
      'select accepted_by as by from invites where email = $1',
      [email],
    );
    expect(invite?.by).toBe(answer.auth.user.id);
  });

  it('makes one member of a hundred at once', async () => {
    const email = anEmail('grace');
    const token = await scene.invite(ada, email);
    const answers = await Promise.all(Array.from({ length: 100 }, () => accept(token)));
    const losers = answers.filter(({ auth }) => !auth.success);
    expect(losers).toHaveLength(99);
    expect(new Set(losers.map((answer) => errorOf(answer)?.code))).toEqual(new Set(['NOT_FOUND']));
    expect(await membersOf(ada.viewer.orgId, email)).toHaveLength(1);
    expect(await scene.sql('select from accounts where email = $1', [email])).toHaveLength(1);
    const facts = await scene.sql(
      `select from outbox where type = 'member.joined' and envelope #>> '{after,email}' = $1`,
      [email],
    );
    expect(facts).toHaveLength(1);
  });

  it('takes an existing account with its password only, and adds a membership', async () => {
    const bob = await scene.founder('Bob');
    const token = await scene.invite(ada, bob.email, 'GUEST');
    expect(errorOf(await accept(token, 'another password'))).toMatchObject({ code: 'INVALID_CREDENTIALS' });
    expect(await membersOf(ada.viewer.orgId, bob.email)).toEqual([]);
    const answer = await accept(token, PASSWORD, 'Bob at Ada’s');
    expect(answer.auth.user).toMatchObject({ id: bob.user.id, role: 'GUEST', name: 'Bob at Ada’s' });
    const { viewer } = await scene.user.ask(bob.viewer, '{ viewer { name role } }');
    expect(viewer).toEqual({ name: 'Bob', role: 'ORG_ADMIN' });
  });

  it('counts wrong passwords of an existing account like failed logins', async () => {
    const bob = await scene.founder('Bob');
    const token = await scene.invite(ada, bob.email);
    for (let n = 0; n < 5; n++) {
      expect(errorOf(await accept(token, 'another password'))?.code).toBe('INVALID_CREDENTIALS');
    }
    expect(errorOf(await accept(token))?.code).toBe('ACCOUNT_LOCKED');
    expect(errorOf(await scene.send(LOGIN, { email: bob.email, password: PASSWORD }))?.code).toBe(
      'ACCOUNT_LOCKED',
    );
  });

  it('takes a removed member in again, as the same person with a new epoch', async () => {
    const grace = await scene.colleague(ada);
    await scene.sql(
      `update members set status = 'REMOVED', archived_at = now(), epoch = 2, version = 2 where id = $1`,
      [grace.user.id],
    );
    const { auth } = await accept(await scene.invite(ada, grace.email, 'GUEST'), PASSWORD, 'Grace again');
    expect(auth.user).toMatchObject({
      ...{ id: grace.user.id, role: 'GUEST', status: 'ACTIVE', name: 'Grace again', version: 3 },
    });
    const [row] = await scene.sql<{ epoch: number }>('select epoch from members where id = $1', [
      grace.user.id,
    ]);
    expect(row?.epoch).toBe(3);
  });

  it('tells somebody who has become a member meanwhile that they are one', async () => {
    const grace = await scene.colleague(ada);
    const token = await scene.invite(ada, anEmail());
    await scene.sql('update invites set email = $1 where token_hash = sha256($2)', [
      ...[grace.email, Buffer.from(token)],
    ]);
    expect(errorOf(await accept(token))).toMatchObject({ code: 'CONFLICT', field: 'token' });
  });

  it('refuses garbage, unknown, foreign, used, replaced and expired tokens with the same bytes', async () => {
    const [used, replaced, expired, open] = [anEmail(), anEmail(), anEmail(), anEmail()];
    const usedToken = await scene.invite(ada, used);
    await accept(usedToken);
    const replacedToken = await scene.invite(ada, replaced);
    await scene.invite(ada, replaced);
    const expiredToken = await scene.invite(ada, expired);
    await scene.sql(`update invites set expires_at = now() - interval '1 second' where email = $1`, [
      expired,
    ]);
    const openToken = await scene.invite(ada, open);
    const bob = await scene.founder('Bob');
    const tokens = [
      ...['', 'garbage', '\0', `inv_${ada.viewer.orgId}_${'A'.repeat(43)}`, ada.refreshToken],
      ...[openToken.replace(ada.viewer.orgId, bob.viewer.orgId), usedToken, replacedToken, expiredToken],
    ];
    const answers = [];
    for (const token of tokens) answers.push(await accept(token));
    expect(errorOf(answers[0] as never)).toMatchObject({ code: 'NOT_FOUND', field: 'token' });
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect((await accept(openToken)).auth.success).toBe(true);
  });

  it.each([
    ['password', { password: 'short' }],
    ['name', { name: ' ' }],
  ])('refuses a bad %s and leaves the invite open', async (field, changes) => {
    const token = await scene.invite(ada, anEmail());
    const { auth } = await scene.send(ACCEPT, { token, name: 'Grace', password: PASSWORD, ...changes });
    expect(auth.userErrors).toMatchObject([{ code: 'BAD_USER_INPUT', field }]);
    expect((await accept(token)).auth.success).toBe(true);
  });
});
