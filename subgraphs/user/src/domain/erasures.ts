/**
 * Forgetting a person in one organisation, and their account when it was the last one.
 *
 *   userErase ── one transaction: member anonymised, access deleted, facts and dead letters rewritten, details of the audit
 *       │        log deleted; member.updated (anonymised), member.erased
 *       ▼
 *   round 1: org, task, notification forget, each in the transaction of the fact, and say so
 *       ▼    entries of the work streams deleted, once every consumer has handled them
 *   round 2: the same once more, for what was under way when the first round began
 *       ▼
 *   completed: nothing is left but ids
 *
 * Each arrow is a row in `erasures` and a fact: whoever crashes goes on there. Tasks and history stay, with an id that
 * nobody has any more.
 */
import { auditOriginOf } from '@taskflow/kit/audit';
import { createRound } from '@taskflow/kit/background';
import type { Call, Changed } from '@taskflow/kit/call';
import { isUuid } from '@taskflow/kit/filter';
import { forgetPerson } from '@taskflow/kit/forgetting';
import type { Log } from '@taskflow/kit/log';
import { syncIdOf } from '@taskflow/kit/outbox';
import type { Sealer } from '@taskflow/kit/seal';
import { bindingOfErasure, makeFact } from '@taskflow/schema/events';
import type { Control } from '../data/control.ts';
import { ERASED_NAME, type ErasureRow, erasedAddressOf } from '../data/erasures.ts';
import type { MemberRow } from '../data/members.ts';
import type { JobTx, UserStore } from '../data/store.ts';
import type { StreamSweeper } from '../data/stream-sweeper.ts';
import { memberUpdated } from './member-facts.ts';
import type { Passwords } from './passwords.ts';
import { canFind, isActiveAdmin, isLastAdmin } from './people-policy.ts';
import type { ProofOfIdentity } from './proof-of-identity.ts';
import { conflict, forbidden, notFound } from './refusals.ts';
import { sha256 } from './secret-tokens.ts';
import type { Client } from './sessions.ts';

export interface UserErase {
  userId: string;
  password: string;
  clientMutationId?: string | null;
}

export interface ErasureDeps {
  readonly passwords: Passwords;
  readonly proof: ProofOfIdentity;
  readonly control: Control;
  readonly sealer: Sealer;
  readonly sweeper: StreamSweeper;
  readonly log: Log;
}

/** Those that keep something of a person beside this one. */
const SERVICES = ['org', 'task', 'notification'] as const;
/** Nobody waits for it; an erasure takes two rounds and two looks. */
const LOOK_EVERY_MS = 500;

export type Erasures = ReturnType<typeof createErasures>;

export function createErasures(store: UserStore, deps: ErasureDeps) {
  const { passwords, proof, control, sealer, sweeper, log } = deps;

  async function erase(call: Call, client: Client, input: UserErase): Promise<Changed<MemberRow>> {
    const { viewer } = call;
    await proof.requireAgain(viewer.userId, input.password, client);
    const passwordHash = await passwords.unusable();
    // Safe to repeat by itself, and an idempotency key would keep the person's id beside what they asked for.
    const changed = await store.job(viewer.orgId, (tx) => eraseIn(tx, call, input.userId, passwordHash));
    const { id: userId, orgId, epoch } = changed.row;
    await control.suspendUser({ orgId, userId, epoch });
    return changed;
  }

  async function eraseIn(
    tx: JobTx,
    call: Call,
    userId: string,
    passwordHash: string,
  ): Promise<Changed<MemberRow>> {
    const { viewer, requestId } = call;
    await tx.members.takeTurn();
    const self = await tx.members.hold(viewer.userId);
    const authority = { viewer: self, someActiveAdmins: await tx.members.someActiveAdmins() };
    const before = isUuid(userId) ? await tx.members.lock(userId.toLowerCase()) : null;
    if (!before || !canFind(self, before.id)) throw notFound('The person', 'userId');
    if (self?.id !== before.id && !isActiveAdmin(self)) {
      throw forbidden('Only an ORG_ADMIN may erase somebody else.');
    }
    if (before.email === erasedAddressOf(before.id)) return { row: before, syncId: null };
    if (isLastAdmin(before, authority)) throw lastAdmin();

    const { email: address, name } = before;
    const row = await tx.erasures.anonymize(before.id);
    await tx.erasures.deleteAccess(before.id, address);
    await tx.erasures.anonymizeAccount(before.id, passwordHash);
    await tx.erasures.forgetAttempts(sha256(address));
    await forgetPerson(tx.sql, { orgId: viewer.orgId, userId: before.id, address, name });
    await tx.erasures.insert(before.id, sealer.seal(JSON.stringify({ address, name }), bindingOf(before.id)));
    const nobody = { ...before, name: ERASED_NAME, email: row.email };
    const updated = memberUpdated(nobody, row, requestId, viewer);
    await tx.appendFacts(updated, erasedFact({ ...row, address }, requestId));
    // Who erases themselves leaves no network address behind either.
    const origin = auditOriginOf(call);
    const isSelf = self?.id === before.id;
    await tx.audit(isSelf ? { ...origin, address: null, userAgent: null } : origin, {
      ...{ action: 'member.erased', target: { type: 'member', id: before.id } },
    });
    if (before.status !== 'REMOVED') await tx.quota.release();
    return { row, syncId: syncIdOf(updated) };
  }

  function erasedFact(
    { orgId, id, version, address }: Pick<MemberRow, 'orgId' | 'id' | 'version'> & { address: string },
    requestId: string,
  ) {
    return makeFact({
      type: 'member.erased',
      ...{ orgId, requestId, aggregate: { id, version }, actor: { userId: null } },
      before: null,
      after: { id, sealed: sealer.seal(address, bindingOfErasure(id)) },
    });
  }

  /** Redis first: a service that is told again afterwards has then handled all that could still be under way. */
  async function goOn(erasure: ErasureRow): Promise<void> {
    const { orgId, userId, round, version } = erasure;
    const person = personIn(erasure);
    if ((await sweeper.sweep({ userId, ...person })) > 0) return;
    const requestId = `erasure:${userId}`;
    await store.job(orgId, async (tx) => {
      await forgetPerson(tx.sql, { orgId, userId, ...person });
      if (round === 1) {
        if (!(await tx.erasures.beginSecondRound(userId))) return;
        await tx.appendFacts(erasedFact({ orgId, id: userId, version, address: person.address }, requestId));
      } else if (await tx.erasures.complete(userId)) {
        await tx.audit(
          { actorId: null, requestId, address: null, userAgent: null },
          { action: 'member.erasure-completed', target: { type: 'member', id: userId } },
        );
      }
    });
  }

  function personIn({ userId, sealed }: ErasureRow): { address: string; name: string } {
    const opened = sealer.open(sealed ?? '', bindingOf(userId));
    if (opened === null) throw new Error('the address of an erasure does not open with MAIL_SEAL_KEY');
    return JSON.parse(opened) as { address: string; name: string };
  }

  const rounds = createRound(log, 'erasing', LOOK_EVERY_MS, async () => {
    for (const erasure of await store.erasures.listRipe(SERVICES)) await goOn(erasure);
  });

  return {
    erase,
    start: rounds.start,
    stop: rounds.stop,
  };
}

/** Another binding than that of the fact: the two say different things. */
const bindingOf = (userId: string): string => `erasure-row:${userId}`;

const lastAdmin = () =>
  conflict('userId', 'This is the last ORG_ADMIN who can sign in. Make somebody else ORG_ADMIN before.');
