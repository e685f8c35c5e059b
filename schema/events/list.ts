import { z } from 'zod';
import type { Source } from './envelope.ts';
import * as image from './images.ts';

/** What is agreed about one type of fact. */
interface Agreement {
  source: Source;
  /** The kind of thing it is about. Facts about one thing arrive in the order of its `version`. */
  aggregate: string;
  /** The subgraphs that act on it. The owner's own live feed reads its outbox and is not named here. */
  consumers: readonly Source[];
  schemaVersion: number;
  before: z.ZodType<object | null>;
  after: z.ZodType<object | null>;
}

const none = z.null();

/** Every fact that travels, by its type. */
export const facts = {
  'organization.founded': {
    ...{ source: 'user', aggregate: 'organization', consumers: ['org'], schemaVersion: 1 },
    ...{ before: none, after: image.foundedOrganization },
  },
  'member.joined': {
    ...{ source: 'user', aggregate: 'member', consumers: ['org', 'task'], schemaVersion: 1 },
    ...{ before: none, after: image.member },
  },
  'member.updated': {
    ...{ source: 'user', aggregate: 'member', consumers: ['org', 'task'], schemaVersion: 1 },
    ...{ before: image.member, after: image.member },
  },
  // After the member.updated that anonymises them, and once more when nothing of before can be under way.
  'member.erased': {
    ...{ source: 'user', aggregate: 'member', consumers: ['org', 'task', 'notification'], schemaVersion: 1 },
    ...{ before: none, after: image.erased },
  },
  // Each service says that it has forgotten; the aggregate is the person.
  'org-traces.erased': {
    ...{ source: 'org', aggregate: 'erasure', consumers: ['user'], schemaVersion: 1 },
    ...{ before: none, after: image.traces },
  },
  'task-traces.erased': {
    ...{ source: 'task', aggregate: 'erasure', consumers: ['user'], schemaVersion: 1 },
    ...{ before: none, after: image.traces },
  },
  'notification-traces.erased': {
    ...{ source: 'notification', aggregate: 'erasure', consumers: ['user'], schemaVersion: 1 },
    ...{ before: none, after: image.traces },
  },
  // The aggregate is the mail itself: mails have no order among each other.
  'mail.requested': {
    ...{ source: 'user', aggregate: 'mail', consumers: ['notification'], schemaVersion: 1 },
    ...{ before: none, after: image.mail },
  },
  // Somebody asks for their data. Whoever holds some gathers it and answers with the facts below; the export is the thing.
  'data-export.requested': {
    ...{ source: 'user', aggregate: 'data-export', consumers: ['org', 'task', 'notification'] },
    ...{ schemaVersion: 1, before: none, after: image.dataExport },
  },
  // What one subgraph holds about the person, in pieces, as many facts as there are; the version counts them.
  'org-data.gathered': {
    ...{ source: 'org', aggregate: 'data-export', consumers: ['user'], schemaVersion: 1 },
    ...{ before: none, after: image.gatheredData },
  },
  'task-data.gathered': {
    ...{ source: 'task', aggregate: 'data-export', consumers: ['user'], schemaVersion: 1 },
    ...{ before: none, after: image.gatheredData },
  },
  'notification-data.gathered': {
    ...{ source: 'notification', aggregate: 'data-export', consumers: ['user'], schemaVersion: 1 },
    ...{ before: none, after: image.gatheredData },
  },
  'organization.updated': {
    ...{ source: 'org', aggregate: 'organization', consumers: ['user', 'task'], schemaVersion: 1 },
    ...{ before: image.organization, after: image.organization },
  },
  // An operator has suspended it, or let it work again: nobody signs in to it meanwhile.
  'organization.suspended': {
    ...{ source: 'org', aggregate: 'organization', consumers: ['user'], schemaVersion: 1 },
    ...{ before: image.organization, after: image.organization },
  },
  'organization.reinstated': {
    ...{ source: 'org', aggregate: 'organization', consumers: ['user'], schemaVersion: 1 },
    ...{ before: image.organization, after: image.organization },
  },
  // The id of a plan is that of its organisation. Told when it is founded, when the contract or its limits change, and at its end.
  'plan.changed': {
    ...{ source: 'org', aggregate: 'plan', consumers: ['user', 'task'], schemaVersion: 1 },
    ...{ before: image.plan.nullable(), after: image.plan },
  },
  'team.created': {
    ...{ source: 'org', aggregate: 'team', consumers: ['task'], schemaVersion: 1 },
    ...{ before: none, after: image.team },
  },
  'team.updated': {
    ...{ source: 'org', aggregate: 'team', consumers: ['task'], schemaVersion: 1 },
    ...{ before: image.team, after: image.team },
  },
  // Also when a member's role in the team changes: `before` is the entry with the former role, otherwise null.
  'team.member-added': {
    ...{ source: 'org', aggregate: 'team-member', consumers: ['task'], schemaVersion: 1 },
    ...{ before: image.teamMember.nullable(), after: image.teamMember },
  },
  'team.member-removed': {
    ...{ source: 'org', aggregate: 'team-member', consumers: ['task'], schemaVersion: 1 },
    ...{ before: image.teamMember, after: image.teamMember },
  },
  'project.created': {
    ...{ source: 'org', aggregate: 'project', consumers: ['task'], schemaVersion: 1 },
    ...{ before: none, after: image.project },
  },
  'project.updated': {
    ...{ source: 'org', aggregate: 'project', consumers: ['task'], schemaVersion: 1 },
    ...{ before: image.project, after: image.project },
  },
  'task.created': {
    ...{ source: 'task', aggregate: 'task', consumers: ['org'], schemaVersion: 1 },
    ...{ before: none, after: image.task },
  },
  'task.updated': {
    ...{ source: 'task', aggregate: 'task', consumers: ['org'], schemaVersion: 1 },
    ...{ before: image.task, after: image.task },
  },
  // `after` is the task as it was last, with its `deletedAt`.
  'task.deleted': {
    ...{ source: 'task', aggregate: 'task', consumers: ['org'], schemaVersion: 1 },
    ...{ before: image.task, after: image.task },
  },
  // The next two repeat a task.created or task.updated of the same version, for those who only care for this.
  'task.assigned': {
    ...{ source: 'task', aggregate: 'task', consumers: ['notification'], schemaVersion: 1 },
    ...{ before: image.task.nullable(), after: image.task },
  },
  'task.status-changed': {
    ...{ source: 'task', aggregate: 'task', consumers: ['notification'], schemaVersion: 1 },
    ...{ before: image.task, after: image.task },
  },
  // Appended where a fact of another service changes the projections that decide visibility. For the live feed.
  'task.visibility-changed': {
    ...{ source: 'task', aggregate: 'visibility', consumers: [], schemaVersion: 1 },
    ...{ before: none, after: image.taskVisibility },
  },
  // The aggregate is the inbox, its id that of the person, its version that of the counts.
  'notification.created': {
    ...{ source: 'notification', aggregate: 'inbox', consumers: [], schemaVersion: 1 },
    ...{ before: none, after: image.inbox },
  },
  'notification.updated': {
    ...{ source: 'notification', aggregate: 'inbox', consumers: [], schemaVersion: 1 },
    ...{ before: none, after: image.inbox },
  },
} as const satisfies Record<string, Agreement>;

export type FactType = keyof typeof facts;

/** Between which services facts travel, as the list says: whose facts `service` consumes, and who consumes its own. */
export function routesOf(service: Source): { consumes: Source[]; consumers: Source[] } {
  const agreements: readonly Agreement[] = Object.values(facts);
  const consumed = agreements.filter(({ consumers }) => consumers.includes(service));
  const published = agreements.filter(({ source }) => source === service);
  return {
    consumes: [...new Set(consumed.map(({ source }) => source))],
    consumers: [...new Set(published.flatMap(({ consumers }) => consumers))],
  };
}
