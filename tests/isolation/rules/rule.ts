/**
 * The language of the table that says who may do what: one row for each operation, each type with its fields, each
 * id that a client may send and each entity. docs/isolation.md explains it with examples; tests/architecture/rules.test.ts
 * fails for what has no row, and tests/isolation/matrix tries every row.
 */
import type { ErrorCode, UserErrorCode } from '@taskflow/kit/errors';

/**
 * The columns. API_KEY is a key that an ORG_ADMIN made with the scopes READ and WRITE. OUTSIDER is the ORG_ADMIN of another
 * organisation who names things of ours. ANONYMOUS is nobody.
 */
export const ROLES = ['ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST', 'API_KEY', 'OUTSIDER', 'ANONYMOUS'] as const;
export type Role = (typeof ROLES)[number];
/** Those who belong to the organisation. */
export const INSIDE = ['ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST', 'API_KEY'] as const;

/** A cell whose feature is still to be built: not tried, but counted. */
export interface Later {
  readonly later: string;
}
export const later = (feature: string): Later => ({ later: feature });

/**
 * A row as it is written: `inside` stands for every column of INSIDE that is not named. An API_KEY without a column of its
 * own may what the ORG_ADMIN may who made it.
 */
export type Row<Cell> = { readonly [R in Role | 'inside']?: Cell | Later };
/** A row as it is tried. */
export type FullRow<Cell> = Readonly<Record<Role, Cell | Later>>;

/** Things of the scene, which ids point to. A new kind gets a line in tests/isolation/matrix/scene.ts. */
export type Thing =
  | 'ApiKey'
  | 'AuditLog'
  | 'Invite'
  | 'Notification'
  | 'Organization'
  | 'OrganizationUsage'
  | 'Project'
  | 'Session'
  | 'Task'
  | 'Team'
  | 'User';

/**
 * What an operation answers to a role that calls it with the role's own, visible things (the rule's example).
 *
 *   yes      it is done: a value, `success: true`, a stream of events
 *   null     null, without an error
 *   empty    a list, or a connection, of nothing
 *   a code   refused with this code: in `userErrors` by a mutation, in `errors` by everything else
 */
export type Outcome = 'yes' | 'null' | 'empty' | ErrorCode | UserErrorCode;

/** What the example of an operation may take from the scene, for the role that calls. */
export interface Mine {
  /** The id of a thing that the role sees; the same at each call. */
  own(thing: Thing): string;
  /** The id of a new thing that the role may change: for operations that would use up the other one. */
  fresh(thing: Thing): Promise<string>;
  /** Text that nobody has used before. */
  unique(prefix: string): string;
  /** Who calls. */
  readonly person: { readonly id: string; readonly email: string; readonly password: string };
  /** The refresh token of a session that was opened for this call alone. */
  refreshToken(): Promise<string>;
  /** The token of an open invite to the organisation, for a new address. */
  inviteToken(): Promise<string>;
}

export type Args = Readonly<Record<string, unknown>>;

export interface OperationRule {
  /** Who may, in one sentence. */
  readonly says: string;
  readonly roles: Row<Outcome>;
  /** The arguments of a call that is right in every other respect. None when absent. */
  readonly example?: (mine: Mine) => Args | Promise<Args>;
  /** Tells of what was, also of things that the role does not see any more. */
  readonly isHistory?: true;
  /** `session`: called in a session of its own, which the call may end. `newcomer`: by a person of their own. */
  readonly as?: 'session' | 'newcomer';
  /** Of a subscription: something that happens to the caller's own thing of this kind is an event of it. */
  readonly tellsOf?: Thing;
}

/**
 * What an id means that a client sends.
 *
 *   names      the thing must be there and visible: else null, NOT_FOUND, or an empty list
 *   compares   the value of a filter: what is not visible equals nothing, and is no error
 *   makes      the identifier that a new thing shall have: a free one is taken, a taken one is refused
 */
export interface IdRule {
  readonly thing: Thing;
  readonly means: 'names' | 'compares' | 'makes';
}
export const names = (thing: Thing): IdRule => ({ thing, means: 'names' });
export const compares = (thing: Thing): IdRule => ({ thing, means: 'compares' });
export const makes = (thing: Thing): IdRule => ({ thing, means: 'makes' });

/**
 * What a role reads in a field of an object that it was given.
 *
 *   yes      what is there
 *   self     what is there when the object is the viewer themselves or their own, else null
 *   null     null, or an empty list, whatever is there
 *   absent   the role is never given such an object (OUTSIDER: none of ours)
 */
export type Sight = 'yes' | 'self' | 'null' | 'absent';

export interface TypeRule {
  /** Who is given an object of this type, in one sentence. */
  readonly says: string;
  readonly roles: Row<Sight>;
  /** Names of fields, any number in one key: `SAME` as the type, or the columns in which they differ from it. */
  readonly fields: Readonly<Record<string, Row<Sight>>>;
}
export const SAME: Row<Sight> = {};

/** The rules of what one SDL file defines. */
export interface Rules {
  /** By `Query.task`. */
  readonly operations?: Readonly<Record<string, OperationRule>>;
  /** By `TaskUpdateInput.assigneeId`, or `Query.task.id` for an argument. */
  readonly ids?: Readonly<Record<string, IdRule>>;
  readonly types?: Readonly<Record<string, TypeRule>>;
  /** The members of a union, or the types of an interface. */
  readonly unions?: Readonly<Record<string, string>>;
  /** Fields that no client can ask, by `Query.apiKeyIdentify`, with who does instead. */
  readonly hidden?: Readonly<Record<string, string>>;
  /** What `_entities` of this subgraph answers for a visible object; anything else answers like what does not exist. */
  readonly entities?: Readonly<Record<string, Row<'yes' | 'null'>>>;
}

/** Everybody of the organisation; an outsider reads and writes their own organisation only. */
export const EVERYBODY_INSIDE = { inside: 'yes', OUTSIDER: 'yes' } as const;
/** The same, for what no API key may, whatever its scopes or for want of ADMIN. */
export const PEOPLE_INSIDE = { ...EVERYBODY_INSIDE, API_KEY: 'FORBIDDEN' } as const;
/** Also who is not signed in. */
export const ANYBODY = { inside: 'yes', OUTSIDER: 'yes', ANONYMOUS: 'yes' } as const;
/** Everybody who can prove who they are, which is for people. */
export const ANY_PERSON = { ...ANYBODY, API_KEY: 'FORBIDDEN' } as const;
/** Like EVERYBODY_INSIDE, for what has to be named: nothing of ours is there for an outsider. */
export const NAMED_INSIDE = { inside: 'yes', OUTSIDER: 'NOT_FOUND' } as const;
/** Objects that everybody of the organisation is given, as far as they see them at all. */
export const SEEN_INSIDE = { inside: 'yes' } as const;
/** The same, but for keys: what needs the scope ADMIN, or a person. */
export const SEEN_BY_PEOPLE = { inside: 'yes', API_KEY: 'absent' } as const;
/** Of an object that everybody is given: what it says to an ORG_ADMIN only, and to a key of theirs. */
export const BY_ADMINS_ONLY = { MANAGER: 'null', MEMBER: 'null', GUEST: 'null' } as const;
/** The shape of the organisation (teams and projects) is not for a guest. */
export const SEEN_BUT_BY_GUESTS = { inside: 'yes', GUEST: 'absent' } as const;
