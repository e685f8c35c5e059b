import { randomUUID } from 'node:crypto';
import { parseKeyRing } from '@taskflow/kit/config';
import { createSealer } from '@taskflow/kit/seal';
import { bindingOfMail, type FactOf } from '@taskflow/schema/events';
import { bytesOf } from '@taskflow/tests/kit/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { readUserConfig } from '../src/config.ts';
import {
  ABSENT,
  ACCEPT,
  anEmail,
  aScene,
  ERRORS,
  INVITE,
  PASSWORD,
  type Person,
  type Scene,
} from './scene.ts';

const FIELDS = 'id email role status expiresAt createdAt updatedAt acceptedAt canceledAt invitedBy { id }';
const LIST = `query ($filter: InviteFilter, $first: Int, $after: String) {
  invites(filter: $filter, first: $first, after: $after) {
    nodes { ${FIELDS} } edges { cursor } pageInfo { hasNextPage endCursor } totalCount } }`;
const RESEND = `mutation ($input: InviteResendInput!) { inviteResend(input: $input) {
  ${ERRORS} token syncId invite { ${FIELDS} } } }`;
const CANCEL = `mutation ($input: InviteCancelInput!) { inviteCancel(input: $input) {
  ${ERRORS} token syncId invite { ${FIELDS} } } }`;

let scene: Scene;
let ada: Person;

beforeAll(async () => {
  scene = await aScene();
  ada = await scene.founder();
});

async function invited(by: Person = ada, email: string = anEmail('grace')) {
  const { inviteCreate } = await scene.user.ask(by.viewer, INVITE, { input: { email, role: 'MEMBER' } });
  return { ...(inviteCreate.invite as { id: string; email: string }), token: inviteCreate.token as string };
}
const list = async (by: Person, variables: object = {}) =>
  (await scene.user.ask(by.viewer, LIST, variables)).invites;
const resend = async (by: Person, id: string, claims = {}) =>
  (await scene.user.ask(by.viewer, RESEND, { input: { id } }, claims)).inviteResend;
const cancel = async (by: Person, id: string) =>
  (await scene.user.ask(by.viewer, CANCEL, { input: { id } })).inviteCancel;
const accept = async (token: string) =>
  (await scene.send(ACCEPT, { token, name: 'Grace', password: PASSWORD })).auth;
const expire = (id: string) =>
  scene.sql(`update invites set expires_at = now() - interval '1 second' where id = $1`, [id]);
const mailsTo = async (email: string) =>
  (
    await scene.sql<{ envelope: FactOf<'mail.requested'> }>(
      `select envelope from outbox where type = 'mail.requested' and envelope #>> '{after,to}' = $1 order by id`,
      [email],
    )
  ).map(({ envelope }) => envelope);

describe('invites', () => {
  it('lists what became of each, the newest first', async () => {
    const boss = await scene.founder('Boss');
    const [accepted, canceled, expired, open] = [
      await invited(boss),
      await invited(boss),
      await invited(boss),
      await invited(boss),
    ];
    const grace = await accept(accepted.token);
    await cancel(boss, canceled.id);
    await expire(expired.id);
    const { nodes, totalCount } = await list(boss);
    expect(totalCount).toBe(4);
    expect(nodes).toMatchObject([
      { id: open.id, status: 'OPEN', acceptedAt: null, canceledAt: null, invitedBy: { id: boss.user.id } },
      { id: expired.id, status: 'EXPIRED', acceptedAt: null, canceledAt: null },
      { id: canceled.id, status: 'CANCELED', canceledAt: expect.any(String), acceptedAt: null },
      { id: accepted.id, status: 'ACCEPTED', acceptedAt: expect.any(String), email: grace.user.email },
    ]);
    for (const [filter, found] of [
      [{ status: { eq: 'EXPIRED' } }, [expired]],
      [{ status: { in: ['OPEN', 'CANCELED'] } }, [open, canceled]],
      [
        { status: { neq: 'OPEN' }, email: { contains: canceled.email.slice(0, 9).toUpperCase() } },
        [canceled],
      ],
      [{ email: { eq: open.email } }, [open]],
    ] as const) {
      const answer = await list(boss, { filter });
      expect(answer.nodes.map(({ id }: { id: string }) => id)).toEqual(found.map(({ id }) => id));
      expect(answer.totalCount).toBe(found.length);
    }
  });

  it('comes page by page, and a cursor belongs to its filter and organisation', async () => {
    const boss = await scene.founder('Boss');
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.unshift((await invited(boss)).id);
    const found: string[] = [];
    let after: string | null = null;
    for (let page = 0; page < 3; page += 1) {
      const { nodes, pageInfo } = await list(boss, { first: 2, after });
      found.push(...nodes.map(({ id }: { id: string }) => id));
      expect(pageInfo.hasNextPage).toBe(page < 2);
      after = pageInfo.endCursor;
    }
    expect(found).toEqual(ids);
    const { pageInfo } = await list(boss, { first: 2 });
    for (const [by, filter] of [
      [boss, { status: { eq: 'OPEN' } }],
      [ada, null],
    ] as const) {
      const answer = await scene.user.send(by.viewer, LIST, { filter, after: pageInfo.endCursor });
      expect(answer.errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    }
  });

  it('are none for everybody but an ORG_ADMIN, by the role that is stored', async () => {
    await invited();
    const former = await scene.colleague(ada, 'ORG_ADMIN');
    expect((await list(former)).totalCount).toBeGreaterThan(0);
    await scene.sql(`update members set role = 'MEMBER' where id = $1`, [former.user.id]);
    const others = [former];
    for (const role of ['MANAGER', 'MEMBER', 'GUEST']) others.push(await scene.colleague(ada, role));
    for (const other of others) {
      const pageInfo = { hasNextPage: false, endCursor: null };
      expect(await list(other)).toEqual({ nodes: [], edges: [], pageInfo, totalCount: 0 });
    }
  });
});

describe('inviteResend', () => {
  it('makes another token the only one that works, with time anew', async () => {
    const invite = await invited();
    await scene.sql(`update invites set expires_at = now() + interval '1 hour' where id = $1`, [invite.id]);
    const { invite: again, token } = await resend(ada, invite.id);
    expect(again).toMatchObject({ id: invite.id, status: 'OPEN', email: invite.email });
    const days = (Date.parse(again.expiresAt) - Date.parse(again.updatedAt)) / 86_400_000;
    expect(days).toBe(7);
    expect(token).not.toBe(invite.token);
    expect((await accept(invite.token)).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect((await accept(token)).success).toBe(true);
    const stored = JSON.stringify(await scene.sql('select o::text from outbox o'));
    expect(stored).not.toContain(token.slice(-43));
  });

  it('opens an expired one again, and then closes the one that was made meanwhile', async () => {
    const invite = await invited();
    await expire(invite.id);
    expect((await accept(invite.token)).success).toBe(false);
    const meanwhile = await invited(ada, invite.email);
    const { token } = await resend(ada, invite.id);
    expect((await list(ada, { filter: { email: { eq: invite.email } } })).nodes).toMatchObject([
      { id: meanwhile.id, status: 'CANCELED' },
      { id: invite.id, status: 'OPEN' },
    ]);
    expect((await accept(meanwhile.token)).success).toBe(false);
    expect((await accept(token)).success).toBe(true);
  });

  it('leaves one token that works when many resend at once', async () => {
    const invite = await invited();
    const answers = await Promise.all(Array.from({ length: 10 }, () => resend(ada, invite.id)));
    expect(answers.every(({ success }) => success)).toBe(true);
    const accepted = [];
    for (const { token } of answers) accepted.push((await accept(token)).success);
    expect(accepted.filter(Boolean)).toHaveLength(1);
  });

  it('answers a repeated request without the token and without another mail', async () => {
    const invite = await invited();
    const claims = { idempotencyKey: randomUUID() };
    const first = await resend(ada, invite.id, claims);
    const again = await resend(ada, invite.id, claims);
    expect([again.success, again.token, again.invite]).toEqual([true, null, first.invite]);
    expect(await mailsTo(invite.email)).toHaveLength(2);
    expect((await accept(first.token)).success).toBe(true);
  });

  it('is a CONFLICT for an expired invite to somebody who is a member by now', async () => {
    const invite = await invited();
    await expire(invite.id);
    await accept((await invited(ada, invite.email)).token);
    expect((await resend(ada, invite.id)).userErrors).toMatchObject([{ code: 'CONFLICT', field: 'id' }]);
  });
});

describe('inviteCancel', () => {
  it('ends the token, and says so', async () => {
    const invite = await invited();
    expect(await cancel(ada, invite.id)).toMatchObject({
      ...{ success: true, token: null, syncId: null },
      invite: { id: invite.id, status: 'CANCELED', canceledAt: expect.any(String) },
    });
    expect((await accept(invite.token)).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
  });

  it('and accepting at the same moment: one of the two', async () => {
    for (let round = 0; round < 6; round += 1) {
      const invite = await invited();
      const [canceled, accepted] = await Promise.all([cancel(ada, invite.id), accept(invite.token)]);
      expect([canceled.success, accepted.success].filter(Boolean)).toHaveLength(1);
    }
  });
});

describe('an invite', () => {
  it.each([
    ['inviteResend', RESEND],
    ['inviteCancel', CANCEL],
  ])('that was accepted or canceled is a CONFLICT to %s', async (field, query) => {
    const [accepted, canceled] = [await invited(), await invited()];
    await accept(accepted.token);
    await cancel(ada, canceled.id);
    for (const { id } of [accepted, canceled]) {
      const answer = await scene.user.ask(ada.viewer, query, { input: { id } });
      expect(answer[field]).toMatchObject({
        ...{ success: false, token: null, invite: null, userErrors: [{ code: 'CONFLICT', field: 'id' }] },
      });
    }
  });

  it.each([
    ['inviteResend', RESEND],
    ['inviteCancel', CANCEL],
  ])(
    'that is absent, foreign, malformed or invisible is not found by %s, byte for byte',
    async (_field, query) => {
      const own = await invited();
      const foreign = await invited(await scene.founder('Eve'));
      const answers = [];
      for (const id of [ABSENT, foreign.id, 'x']) {
        answers.push(await scene.user.send(ada.viewer, query, { input: { id } }));
      }
      for (const role of ['MANAGER', 'MEMBER', 'GUEST']) {
        const { viewer } = await scene.colleague(ada, role);
        answers.push(await scene.user.send(viewer, query, { input: { id: own.id } }));
      }
      expect(new Set(answers.map(bytesOf)).size).toBe(1);
      expect(answers[0]?.text).toContain('NOT_FOUND');
      expect((await accept(own.token)).success).toBe(true);
      expect((await accept(foreign.token)).success).toBe(true);
    },
  );

  it('is sent by mail, with the token sealed, each time it is made or sent again', async () => {
    const invite = await invited();
    const { token } = await resend(ada, invite.id);
    const [first, second, ...none] = await mailsTo(invite.email);
    expect(none).toEqual([]);
    expect(second).toMatchObject({
      ...{ orgId: ada.viewer.orgId, actor: { userId: ada.user.id } },
      after: {
        ...{ to: invite.email, template: 'INVITE' },
        values: {
          inviterName: 'Ada',
          organizationName: 'Ada & Co',
          role: 'MEMBER',
          expiresAt: expect.any(String),
        },
      },
    });
    const sealer = createSealer(parseKeyRing(readUserConfig({}).MAIL_SEAL_KEY));
    const opened = [first, second].map(
      (mail) => mail && sealer.open(mail.after.sealed ?? '', bindingOfMail(mail.after)),
    );
    expect(opened).toEqual([invite.token, token]);
  });

  it('leaves a line in the audit log when it is sent again or canceled', async () => {
    const invite = await invited();
    await resend(ada, invite.id);
    await cancel(ada, invite.id);
    const lines = await scene.sql(
      `select action, actor_id from audit_entries where target_id = $1 and action in ('invite.resent', 'invite.canceled') order by id`,
      [invite.id],
    );
    expect(lines).toEqual([
      { action: 'invite.resent', actor_id: ada.user.id },
      { action: 'invite.canceled', actor_id: ada.user.id },
    ]);
  });
});
