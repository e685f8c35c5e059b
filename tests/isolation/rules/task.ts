/** Who may do what of schema/task.graphql. Which tasks a role sees is said in subgraphs/task/src/domain/task-policy.ts. */
import {
  BY_ADMINS_ONLY,
  compares,
  EVERYBODY_INSIDE,
  makes,
  NAMED_INSIDE,
  names,
  type Rules,
  SAME,
  SEEN_BUT_BY_GUESTS,
  SEEN_BY_PEOPLE,
  SEEN_INSIDE,
} from './rule.ts';

export const task: Rules = {
  operations: {
    'Query.task': {
      says: 'Who sees the task.',
      roles: { inside: 'yes', OUTSIDER: 'null' },
      example: ({ own }) => ({ id: own('Task') }),
    },
    'Query.tasks': { says: 'Everybody, those that they see.', roles: EVERYBODY_INSIDE },
    'Mutation.taskCreate': {
      says: 'Everybody but a guest, who would not see what they have made.',
      roles: { ...NAMED_INSIDE, GUEST: 'FORBIDDEN' },
      example: ({ own, unique, person }) => ({
        input: { title: unique('Task'), projectId: own('Project'), assigneeId: person.id },
      }),
    },
    'Mutation.taskUpdate': {
      says: 'Who created the task, is assigned to it, or manages a team of its project; an ORG_ADMIN any.',
      roles: NAMED_INSIDE,
      example: ({ own, unique }) => ({ input: { id: own('Task'), title: unique('Task') } }),
    },
    'Mutation.taskDelete': {
      says: 'As for a change, but being assigned is not enough; hence never a guest.',
      roles: { ...NAMED_INSIDE, GUEST: 'FORBIDDEN' },
      example: async ({ fresh }) => ({ input: { id: await fresh('Task') } }),
    },
    'Subscription.taskEvents': {
      says: 'Everybody, the changes of what they see.',
      roles: NAMED_INSIDE,
      tellsOf: 'Task',
      example: ({ own }) => ({ filter: { taskId: own('Task') } }),
    },
  },
  ids: {
    'Query.task.id': names('Task'),
    'TaskCreateInput.id': makes('Task'),
    'TaskCreateInput.projectId': names('Project'),
    'TaskCreateInput.assigneeId': names('User'),
    'TaskUpdateInput.id': names('Task'),
    'TaskUpdateInput.projectId': names('Project'),
    'TaskUpdateInput.assigneeId': names('User'),
    'TaskDeleteInput.id': names('Task'),
    'TaskEventFilter.taskId': names('Task'),
    'TaskEventFilter.projectId': names('Project'),
    'TaskEventFilter.assigneeId': names('User'),
    'UserReferenceComparator.eq': compares('User'),
    'UserReferenceComparator.neq': compares('User'),
    'UserReferenceComparator.in': compares('User'),
    'UserReferenceComparator.nin': compares('User'),
    'ProjectReferenceComparator.eq': compares('Project'),
    'ProjectReferenceComparator.neq': compares('Project'),
    'ProjectReferenceComparator.in': compares('Project'),
    'ProjectReferenceComparator.nin': compares('Project'),
  },
  types: {
    AuditLog: {
      says: 'Everybody of the organisation; what is in it is for an ORG_ADMIN.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        'task taskExport': { inside: 'null', ORG_ADMIN: 'yes' },
      },
    },
    Task: {
      says: 'Who sees the task.',
      roles: SEEN_INSIDE,
      fields: {
        'id key title description status priority tags assignee creator dueAt': SAME,
        'createdAt updatedAt archivedAt version viewerCanUpdate viewerCanDelete': SAME,
        project: { GUEST: 'null' },
      },
    },
    User: {
      says: 'Everybody of the organisation.',
      roles: SEEN_INSIDE,
      // Counts the tasks that the viewer sees.
      fields: { openTaskCount: SAME },
    },
    Project: { says: 'Everybody but a guest.', roles: SEEN_BUT_BY_GUESTS, fields: { tasks: SAME } },
    TaskConnection: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'edges nodes pageInfo totalCount': SAME },
    },
    TaskEdge: { says: 'Who sees the task.', roles: SEEN_INSIDE, fields: { 'cursor node': SAME } },
    TaskChange: {
      says: 'Who sees the task, or has seen it until this change.',
      roles: SEEN_INSIDE,
      fields: { 'cursor kind taskId version changedFields task actor occurredAt': SAME },
    },
    OrganizationUsage: {
      says: 'Everybody, their own; the numbers are for an ORG_ADMIN.',
      roles: SEEN_INSIDE,
      fields: { tasks: BY_ADMINS_ONLY },
    },
    TaskPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors task syncId clientMutationId': SAME },
    },
  },
  unions: {
    TaskEvent: 'TaskChange StreamHeartbeat ResyncRequired',
  },
  entities: {
    AuditLog: { inside: 'yes' },
    Task: { inside: 'yes' },
    User: { inside: 'yes' },
    Project: { inside: 'yes', GUEST: 'null' },
    OrganizationUsage: { inside: 'yes' },
  },
};
