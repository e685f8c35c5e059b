/**
 * What the user service tells the routers about who is no longer good, and in which form.
 *
 *   channel control:{org}   { user, sid }         a session has ended          told at once; may be lost
 *                           { user, standing }    where a member stands, or with user "*" the organisation
 *   keys                    the same, for as long as an access token lives     read at first sight and once a second
 *
 * A standing has a number that rises with every change (a member's epoch, an organisation's version). Of two the one with
 * the higher number counts, in whatever order they arrive: a message that was late cannot undo its successor.
 */

export interface Standing {
  readonly number: number;
  readonly isSuspended: boolean;
}

/** As a key holds it: `7 ACTIVE`, `8 SUSPENDED`. */
export const textOfStanding = ({ number, isSuspended }: Standing): string =>
  `${number} ${isSuspended ? 'SUSPENDED' : 'ACTIVE'}`;

/** Null for anything else. */
export function standingOf(text: unknown): Standing | null {
  const [, number, status] =
    typeof text === 'string' ? (/^(\d{1,15}) (ACTIVE|SUSPENDED)$/.exec(text) ?? []) : [];
  return number ? { number: Number(number), isSuspended: status === 'SUSPENDED' } : null;
}

/** Who `user` is when a standing is that of the whole organisation. */
export const EVERYBODY = '*';

export interface ControlMessage {
  /** The member, or EVERYBODY. */
  readonly user: string;
  readonly sid: string | null;
  readonly standing: Standing | null;
}

export const textOfControl = ({ user, sid, standing }: ControlMessage): string =>
  JSON.stringify({
    user,
    ...(sid ? { sid } : {}),
    ...(standing ? { standing: textOfStanding(standing) } : {}),
  });

/** What a message says, parsed or not; null for what cannot be one. */
export function controlOf(message: unknown): ControlMessage | null {
  let told = message;
  try {
    if (typeof told === 'string') told = JSON.parse(told);
  } catch {
    return null;
  }
  if (typeof told !== 'object' || told === null) return null;
  const { user, sid, standing } = told as Record<string, unknown>;
  if (typeof user !== 'string') return null;
  return { user, sid: typeof sid === 'string' ? sid : null, standing: standingOf(standing) };
}
