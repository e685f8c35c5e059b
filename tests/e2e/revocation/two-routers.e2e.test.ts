/**
 * Whoever is no longer good is refused by every replica of the router, and their open sockets are closed, within a second.
 * The figures are printed; what is asserted is a deadline that a machine under the load of a whole test run keeps.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { select } from '../../faults/behind-the-story.ts';
import type { TestClient } from '../../kit/client.ts';
import { aMember, anOrg, type TestPerson } from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';
import { answersTo, everywhere, refresh, sessionIdOf, signIn, type Tokens, tell } from './scene.ts';

const REVOKED = { code: 'SESSION_REVOKED', closeCode: 4403 };
const EXPIRED = { code: 'TOKEN_EXPIRED', closeCode: 4401 };
/** Five times what is promised: the machine runs other tests beside. */
const PATIENCE_MS = 5_000;

let supergraph: TestSupergraph;
let replicas: TestClient[];
let ada: TestPerson;

beforeAll(async () => {
  supergraph = await aSupergraph();
  replicas = [supergraph.client, await supergraph.anotherRouter()];
  ada = await anOrg(supergraph.client, 'Ada');
});

const mutation = (by: { client: TestClient }, field: string, input: object) => {
  const type = `${field[0]?.toUpperCase()}${field.slice(1)}Input`;
  return by.client.ask(
    `mutation Do($input: ${type}!) { ${field}(input: $input) { success userErrors { code message } } }`,
    { input },
  );
};

/** What happens to whoever has these tokens once `act` is done, from the moment in which it began. */
async function afterwards(
  what: string,
  tokens: Tokens,
  { act, expected }: { act(): Promise<unknown>; expected: typeof REVOKED },
): Promise<void> {
  const person = await everywhere(replicas, tokens);
  const since = performance.now();
  await act();
  const gone = await person.gone(since, expected);
  tell(what, gone);
  expect(Math.max(gone.refusedMs, gone.closedMs)).toBeLessThan(PATIENCE_MS);
}

describe('is refused everywhere, with their sockets closed 4403', () => {
  it('a session that its person revokes, while their other session goes on', async () => {
    const grace = await aMember(ada);
    const phone = await signIn(supergraph.client, grace);
    await afterwards('a revoked session', phone, {
      act: () => mutation(grace, 'sessionRevoke', { id: sessionIdOf(phone) }),
      expected: REVOKED,
    });
    expect(await refresh(supergraph.client, phone)).toBeNull();
    expect(await answersTo(replicas, grace)).toEqual(['MEMBER', 'MEMBER']);
  });

  it('a session whose refresh token was used by somebody else', async () => {
    const grace = await aMember(ada);
    const first = (await refresh(supergraph.client, grace)) as Tokens;
    const second = (await refresh(supergraph.client, first)) as Tokens;
    await afterwards('a stolen session', second, {
      act: async () => expect(await refresh(supergraph.client, grace)).toBeNull(),
      expected: REVOKED,
    });
    expect(await refresh(supergraph.client, second)).toBeNull();
  });

  it('a member who is removed', async () => {
    const grace = await aMember(ada);
    await afterwards('a removed member', grace, {
      act: () => mutation(ada, 'userRemove', { id: grace.id }),
      expected: REVOKED,
    });
    expect(await refresh(supergraph.client, grace)).toBeNull();
  });

  it('a member who is suspended, until a new sign-in after they are reinstated', async () => {
    const grace = await aMember(ada);
    await afterwards('a suspended member', grace, {
      act: () => mutation(ada, 'userSuspend', { id: grace.id }),
      expected: REVOKED,
    });
    expect(await refresh(supergraph.client, grace)).toBeNull();
    await mutation(ada, 'userReinstate', { id: grace.id });
    const back = await signIn(supergraph.client, grace);
    expect(await answersTo(replicas, back)).toEqual(['MEMBER', 'MEMBER']);
    expect(await answersTo(replicas, grace)).not.toContain('MEMBER');
  });

  it('everybody of an organisation that is suspended, until it is reinstated', async () => {
    const bob = await anOrg(supergraph.client, 'Bob');
    const carl = await aMember(bob);
    const operate = async (verb: string) => {
      const command = spawn(process.execPath, ['dev/operator.ts', 'organization', verb, bob.organizationId], {
        env: { ...process.env, ...supergraph.env },
      });
      const [code] = await once(command, 'exit');
      expect(code).toBe(0);
    };
    const [boss, member] = await Promise.all([everywhere(replicas, bob), everywhere(replicas, carl)]);
    const seen = Promise.all([boss, member].map((person) => person.gone(performance.now(), REVOKED)));
    const startedAt = Date.now();
    await operate('suspend');
    const [fact] = await select<{ at: Date }>(
      supergraph.databases.org.adminUrl,
      `select occurred_at as at from outbox where type = 'organization.suspended' and org_id = $1`,
      [bob.organizationId],
    );
    // Less the start of a process, of which nobody promises anything.
    const startMs = (fact?.at.getTime() ?? 0) - startedAt;
    const gone = (await seen).map(({ refusedMs, closedMs }) => ({
      refusedMs: refusedMs - startMs,
      closedMs: closedMs - startMs,
    }));
    for (const each of gone) {
      tell('a suspended organisation', each);
      expect(Math.max(each.refusedMs, each.closedMs)).toBeLessThan(PATIENCE_MS);
    }
    expect(await refresh(supergraph.client, carl)).toBeNull();
    expect(await answersTo(replicas, ada)).toEqual(['ORG_ADMIN', 'ORG_ADMIN']);
    await operate('reinstate');
    const known = async () => (await answersTo(replicas, carl)).every((answer) => answer === 'MEMBER');
    await until('the organisation to be back', known);
    expect(await refresh(supergraph.client, carl)).not.toBeNull();
  });
});

describe('a changed role', () => {
  it('expires the token everywhere, closes sockets 4401, and needs a refresh but no new sign-in', async () => {
    const grace = await aMember(ada);
    await afterwards('a changed role', grace, {
      act: () => mutation(ada, 'userRoleChange', { id: grace.id, role: 'MANAGER' }),
      expected: EXPIRED,
    });
    const refreshed = (await refresh(supergraph.client, grace)) as Tokens;
    expect(sessionIdOf(refreshed)).toBe(sessionIdOf(grace));
    expect(await answersTo(replicas, refreshed)).toEqual(['MANAGER', 'MANAGER']);
    await everywhere(replicas, refreshed);
  });
});

describe('a person of two organisations', () => {
  it('changes to the other and reads it in the same request, at either replica', async () => {
    const [bob, carl] = [await anOrg(supergraph.client, 'Bob'), await anOrg(supergraph.client, 'Carl')];
    const { inviteCreate } = await bob.client.ask<{ inviteCreate: { token: string } }>(
      'mutation Invite($input: InviteCreateInput!) { inviteCreate(input: $input) { success token } }',
      { input: { email: carl.email, role: 'GUEST' } },
    );
    await supergraph.client.ask(
      'mutation Accept($input: InviteAcceptInput!) { inviteAccept(input: $input) { success } }',
      { input: { token: inviteCreate.token, name: 'Carl', password: carl.password } },
    );
    const { sessionSwitchOrganization: there } = await carl.client.ask<{
      sessionSwitchOrganization: Tokens & { user: { organization: { id: string } } };
    }>(
      `mutation Switch($input: SessionSwitchOrganizationInput!) { sessionSwitchOrganization(input: $input) {
        success accessToken refreshToken user { organization { id } } } }`,
      { input: { organizationId: bob.organizationId } },
    );
    expect(there.user.organization.id).toBe(bob.organizationId);
    expect(await answersTo(replicas, there)).toEqual(['GUEST', 'GUEST']);
    expect(await answersTo(replicas, carl)).toEqual(['ORG_ADMIN', 'ORG_ADMIN']);
    await mutation(bob, 'userSuspend', { id: carl.id });
    const refused = async () =>
      (await answersTo(replicas, there)).every((answer) => answer === 'SESSION_REVOKED');
    await until('the membership to be suspended', refused);
    expect(await answersTo(replicas, carl)).toEqual(['ORG_ADMIN', 'ORG_ADMIN']);
  });
});
