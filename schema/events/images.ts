import { z } from 'zod';
import { id, instant, oneOf } from './envelope.ts';

/**
 * Images: what a thing looked like before and after a fact. An image holds the columns that may have changed *and*
 * every column that decides who sees the thing or whether a filter passes, changed or not, so that a consumer can tell
 * from the fact alone for whom the thing appeared or disappeared.
 */

export const foundedOrganization = z.object({ name: z.string(), founderId: id });

export const organization = z.object({
  name: z.string(),
  taskVisibility: oneOf('ASSIGNED', 'PROJECT'),
  /** Facts from before there were suspensions do not say it. */
  status: oneOf('ACTIVE', 'SUSPENDED').default('ACTIVE'),
});

/** How many of each an organisation may have; null is no limit. API calls are counted by the calendar month (UTC). */
const limits = z.object({
  members: z.int().nonnegative().nullable(),
  projects: z.int().nonnegative().nullable(),
  tasks: z.int().nonnegative().nullable(),
  apiCalls: z.int().nonnegative().nullable(),
});

/** A contract with its window: `limits` hold from `startsAt` to `endsAt` (null is for ever), `otherwise` before and after. */
export const plan = z.object({
  name: oneOf('FREE', 'TEAM', 'BUSINESS'),
  startsAt: instant,
  endsAt: instant.nullable(),
  limits,
  otherwise: limits,
});

export const member = z.object({
  id,
  name: z.string(),
  email: z.string(),
  role: oneOf('ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST'),
  status: oneOf('ACTIVE', 'SUSPENDED', 'REMOVED'),
});

export const team = z.object({ id, name: z.string(), parentTeamId: id.nullable() });

/** One stay of a person in a team; who joins again has another one. */
export const teamMember = z.object({
  id,
  teamId: id,
  userId: id,
  role: oneOf('MEMBER', 'MANAGER'),
  leftAt: instant.nullable(),
});

export const project = z.object({
  id,
  key: z.string(),
  name: z.string(),
  /** All teams that the project is assigned to, not only new ones. */
  teamIds: z.array(id),
});

export const task = z.object({
  id,
  key: z.string(),
  title: z.string(),
  status: oneOf('BACKLOG', 'TODO', 'IN_PROGRESS', 'IN_REVIEW', 'DONE', 'CANCELED'),
  priority: oneOf('NONE', 'LOW', 'MEDIUM', 'HIGH', 'URGENT'),
  assigneeId: id.nullable(),
  creatorId: id,
  projectId: id.nullable(),
  tags: z.array(z.string()),
  dueAt: instant.nullable(),
  createdAt: instant,
  archivedAt: instant.nullable(),
  deletedAt: instant.nullable(),
  version: z.int().positive(),
  /** Only in facts that change it: it is long, and neither visibility nor a filter looks at it. */
  description: z.string().nullable().optional(),
});

/** Whose view of the tasks may have changed, beyond what changes of tasks tell. */
export const taskVisibility = z.object({
  /** The people whose view may have changed; null for everybody but the ORG_ADMINs. */
  userIds: z.array(id).nullable(),
  /** PROJECT_CREATED: the view has grown by a project that has no tasks yet, so nothing has to be read again. */
  reason: oneOf('MEMBER_CHANGED', 'TEAM_CHANGED', 'PROJECT_CREATED', 'PROJECT_CHANGED', 'SETTINGS_CHANGED'),
});

/** A mail to one person. The token is not in it: whoever reads an outbox, a stream or a dead letter finds it sealed. */
export const mail = z.object({
  to: z.string(),
  template: oneOf(
    'EMAIL_VERIFICATION',
    'PASSWORD_RESET',
    'PASSWORD_CHANGED',
    'EMAIL_CHANGE_CONFIRM',
    'EMAIL_CHANGE_NOTICE',
    'INVITE',
    'DATA_EXPORT_READY',
  ),
  /** The language that the person asked for, as BCP 47 has it. */
  locale: z.string().nullable(),
  /**
   * What the text names. All may be absent: `name` (of the recipient), `organizationName`, `inviterName`, `role`, `newEmail`,
   * `address` (the network address that asked), `expiresAt` (RFC 3339; a mail that is late for it is not sent).
   */
  values: z.record(z.string(), z.string()),
  /** The single-use token for the link, sealed and bound with `bindingOfMail`; null in a mail without one. */
  sealed: z.string().nullable(),
});

/** What the sealed token of a mail is bound to: it opens for this template and this recipient only. */
export const bindingOfMail = ({ template, to }: { template: string; to: string }): string =>
  `mail:${template}:${to}`;

/** Whose data is asked for. Of the address only what finds mails sent there: facts outlive a change of address. */
export const dataExport = z.object({
  userId: id,
  /** SHA-256 of the lower-case address, as hexadecimal digits. */
  emailHash: z.string().regex(/^[0-9a-f]{64}$/),
});

/** A piece of the JSON text of what a subgraph holds about a person: `content` of all `count`, in the order of `index`. */
export const gatheredData = z.object({
  exportId: id,
  userId: id,
  index: z.int().nonnegative(),
  count: z.int().positive(),
  /** At most 200 kB, so that a fact stays one that streams and logs carry easily. */
  content: z.string().max(200_000),
});

/** Somebody who is to be forgotten. */
export const erased = z.object({
  id,
  /** Their address, sealed and bound with `bindingOfErasure`, for those who know them by it; null once all have forgotten. */
  sealed: z.string().nullable(),
});

export const bindingOfErasure = (id: string): string => `erasure:${id}`;

/** A service has forgotten somebody. */
export const traces = z.object({ userId: id });

/** What happened in a person's inbox. */
export const inbox = z.object({
  userId: id,
  /** The notification; null when several changed at once. */
  notificationId: id.nullable(),
  /** How many are unread and unseen after it. */
  unread: z.int().nonnegative(),
  unseen: z.int().nonnegative(),
});

export type OrganizationImage = z.infer<typeof organization>;
export type PlanImage = z.infer<typeof plan>;
export type PlanLimits = z.infer<typeof limits>;
export type MemberImage = z.infer<typeof member>;
export type TeamImage = z.infer<typeof team>;
export type TeamMemberImage = z.infer<typeof teamMember>;
export type ProjectImage = z.infer<typeof project>;
export type TaskImage = z.infer<typeof task>;
export type TaskVisibilityImage = z.infer<typeof taskVisibility>;
export type MailImage = z.infer<typeof mail>;
export type GatheredDataImage = z.infer<typeof gatheredData>;
export type InboxImage = z.infer<typeof inbox>;
