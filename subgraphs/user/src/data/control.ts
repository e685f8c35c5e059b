/**
 * Tells the routers (router/src/revocation.ts) who is no longer good: a key for those who look, a message for those who
 * listen. PostgreSQL knows all of it as well, and refreshing a token asks there: Redis is the fast path.
 *
 *   commit ─▶ told at once ── failed ─▶ behind ─▶ told again, from what PostgreSQL says
 *             start, Redis back (perhaps without its data) ─────┘
 *
 * While Redis is away access tokens live on for the rest of their ten minutes; what was revoked meanwhile is told in the
 * second in which Redis is back. Standings are numbered (kit/control.ts), so that telling late or twice does no harm.
 */
import { createTroubles } from '@taskflow/kit/background';
import {
  type ControlMessage,
  EVERYBODY,
  type Standing,
  textOfControl,
  textOfStanding,
} from '@taskflow/kit/control';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import type { Revocations } from './revocations.ts';

export interface MemberEpoch {
  orgId: string;
  userId: string;
  /** The member's epoch after the change that is told; it must have risen with it. */
  epoch: number;
}

export interface OrganizationVersion {
  orgId: string;
  /** The organisation's version after the change that is told. */
  version: number;
}

/** Call these after the commit. None rejects: what could not be told is told later. All are safe to call twice. */
export interface Control {
  /** Access tokens of the session are refused, and its sockets closed, on every router replica. */
  revokeSession(session: { orgId: string; userId: string; sessionId: string }): Promise<void>;
  revokeSessions(orgId: string, userId: string, sessionIds: readonly string[]): Promise<void>;
  /** Access tokens of an older epoch have expired: a refresh brings a new one, with role and status as they are. */
  raiseEpoch(member: MemberEpoch): Promise<void>;
  /** Every token of the member is refused as revoked: suspended or removed. */
  suspendUser(member: MemberEpoch): Promise<void>;
  /** Tokens of the new epoch are good again. */
  readmitUser(member: MemberEpoch): Promise<void>;
  /** Every token of the organisation is refused as revoked. */
  suspendOrganization(organization: OrganizationVersion): Promise<void>;
  readmitOrganization(organization: OrganizationVersion): Promise<void>;
}

export interface ControlOptions {
  readonly accessTokenTtlMs: number;
  readonly revocations: Revocations;
  readonly log: Log;
}

interface Told {
  readonly orgId: string;
  readonly message: ControlMessage;
}

/** Clocks differ, and a router may look a moment later. */
const MARGIN_MS = 60_000;
/** How soon what could not be told is tried again. */
const RETRY_MS = 500;
/** A mutation waits this long for Redis at most: the rest is told later. */
const TELL_MS_MAX = 500;
/** Told in one round trip. */
const BATCH_MAX = 500;

/** Keeps what is there when its number is higher. */
const SET_STANDING = `
  local known = tonumber(string.match(redis.call('get', KEYS[1]) or '', '^%d+'))
  if known and known > tonumber(string.match(ARGV[1], '^%d+')) then return 0 end
  redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1`;

export function createControl(
  redis: Pick<RedisConnections, 'commands' | 'keys' | 'status'>,
  { accessTokenTtlMs, revocations, log }: ControlOptions,
) {
  const { commands, keys } = redis;
  const ttlMs = accessTokenTtlMs + MARGIN_MS;
  const troubles = createTroubles(log);
  let isBehind = true;
  let isStopped = true;
  let timer: NodeJS.Timeout | null = null;
  let catchingUp: Promise<unknown> | null = null;

  async function send(batch: readonly Told[]): Promise<void> {
    if (batch.length === 0) return;
    const pipeline = commands.pipeline();
    for (const { orgId, message } of batch) {
      const { user, sid, standing } = message;
      if (sid) pipeline.set(keys.revokedKey(orgId, sid), '1', 'PX', ttlMs);
      if (standing) {
        const key = user === EVERYBODY ? keys.organizationStanding(orgId) : keys.memberStanding(orgId, user);
        pipeline.eval(SET_STANDING, 1, key, textOfStanding(standing), ttlMs);
      }
      pipeline.publish(keys.controlChannel(orgId), textOfControl(message));
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  }

  async function tell(...batch: Told[]): Promise<void> {
    try {
      await inTime(send(batch));
    } catch (error) {
      isBehind = true;
      log.warn({ err: error, orgId: batch[0]?.orgId }, 'the routers could not be told; they will be');
    }
  }

  /** Everything that may concern a token that is still alive, as PostgreSQL has it now. */
  async function tellAll(): Promise<void> {
    isBehind = false;
    try {
      let batch: Told[] = [];
      for await (const revoked of revocations.since(ttlMs)) {
        batch.push(toldOf(revoked));
        if (batch.length < BATCH_MAX) continue;
        await send(batch);
        batch = [];
      }
      await send(batch);
    } catch (error) {
      isBehind = true;
      throw error;
    }
  }

  function catchUp(): void {
    if (!isBehind || isStopped || catchingUp || redis.status() !== 'up') return;
    catchingUp = troubles.watch('telling the routers what was revoked', tellAll).finally(() => {
      catchingUp = null;
    });
  }

  /** Redis may have come back without its data. */
  function onReady(): void {
    isBehind = true;
    catchUp();
  }

  const member = ({ orgId, userId, epoch }: MemberEpoch, isSuspended: boolean) =>
    tell(toldOf({ orgId, userId, standing: { number: epoch, isSuspended } }));
  const organization = ({ orgId, version }: OrganizationVersion, isSuspended: boolean) =>
    tell(toldOf({ orgId, standing: { number: version, isSuspended } }));

  const control: Control = {
    revokeSession: (session) => tell(toldOf(session)),
    revokeSessions: (orgId, userId, sessionIds) =>
      tell(...sessionIds.map((sessionId) => toldOf({ orgId, userId, sessionId }))),
    raiseEpoch: (told) => member(told, false),
    suspendUser: (told) => member(told, true),
    readmitUser: (told) => member(told, false),
    suspendOrganization: (told) => organization(told, true),
    readmitOrganization: (told) => organization(told, false),
  };

  return {
    ...control,
    /** From now on what could not be told is told later; first of all what another process may have left untold. */
    start(): void {
      isStopped = false;
      commands.on('ready', onReady);
      timer ??= setInterval(catchUp, RETRY_MS).unref();
      catchUp();
    },
    /** Finishes what is being told. */
    async stop(): Promise<void> {
      isStopped = true;
      commands.off('ready', onReady);
      if (timer) clearInterval(timer);
      timer = null;
      await catchingUp;
    },
  };
}

/** A session that has ended, or where a member or an organisation stands. */
export type Revoked =
  | { orgId: string; userId: string; sessionId: string }
  | { orgId: string; userId?: string; standing: Standing };

function toldOf(revoked: Revoked): Told {
  const { orgId, userId: user = EVERYBODY } = revoked;
  if ('sessionId' in revoked) return { orgId, message: { user, sid: revoked.sessionId, standing: null } };
  return { orgId, message: { user, sid: null, standing: revoked.standing } };
}

function inTime(work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`Redis has not answered within ${TELL_MS_MAX} ms`));
    const timer = setTimeout(late, TELL_MS_MAX);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
