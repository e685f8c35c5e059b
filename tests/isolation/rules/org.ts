/** Who may do what of schema/org.graphql. The shape of the organisation (teams and projects) is not for a guest. */
import {
  BY_ADMINS_ONLY,
  EVERYBODY_INSIDE,
  names,
  PEOPLE_INSIDE,
  type Rules,
  SAME,
  SEEN_BUT_BY_GUESTS,
  SEEN_BY_PEOPLE,
  SEEN_INSIDE,
} from './rule.ts';

/** Lists of the organisation's shape: a guest gets an empty one. */
const LISTED = { inside: 'yes', GUEST: 'empty', OUTSIDER: 'yes' } as const;
const FOUND = { inside: 'yes', GUEST: 'null', OUTSIDER: 'null' } as const;
/** Refused by role, before anything that is named was looked for. */
const BY_ADMINS = { inside: 'FORBIDDEN', ORG_ADMIN: 'yes' } as const;

export const org: Rules = {
  operations: {
    'Query.organization': { says: 'Everybody, their own.', roles: EVERYBODY_INSIDE },
    'Query.auditLog': {
      says: 'Everybody, their own; its parts are null but for an ORG_ADMIN. A key needs the scope ADMIN.',
      roles: PEOPLE_INSIDE,
      isHistory: true,
    },
    'Query.teams': { says: 'Everybody but a guest.', roles: LISTED },
    'Query.teamTree': { says: 'Everybody but a guest.', roles: LISTED },
    'Query.team': {
      says: 'Everybody but a guest.',
      roles: FOUND,
      example: ({ own }) => ({ id: own('Team') }),
    },
    'Query.projects': { says: 'Everybody but a guest.', roles: LISTED },
    'Query.project': {
      says: 'Everybody but a guest.',
      roles: FOUND,
      example: ({ own }) => ({ id: own('Project') }),
    },
    'Mutation.organizationUpdate': {
      says: 'An ORG_ADMIN, their own.',
      roles: { ...BY_ADMINS, API_KEY: 'FORBIDDEN', OUTSIDER: 'yes' },
      example: ({ unique }) => ({ input: { name: unique('Acme') } }),
    },
    'Mutation.teamCreate': {
      says: 'An ORG_ADMIN.',
      roles: { ...BY_ADMINS, OUTSIDER: 'NOT_FOUND' },
      example: ({ own, unique }) => ({ input: { name: unique('Team'), parentTeamId: own('Team') } }),
    },
    'Mutation.teamUpdate': {
      says: 'An ORG_ADMIN; a MANAGER who manages this team.',
      roles: {
        ...{ inside: 'FORBIDDEN', ORG_ADMIN: 'yes', MANAGER: 'yes' },
        ...{ GUEST: 'NOT_FOUND', OUTSIDER: 'NOT_FOUND' },
      },
      example: ({ own, unique }) => ({ input: { id: own('Team'), name: unique('Team') } }),
    },
    'Mutation.teamMemberAdd': {
      says: 'An ORG_ADMIN; a MANAGER who manages this team.',
      roles: {
        ...{ inside: 'FORBIDDEN', ORG_ADMIN: 'yes', MANAGER: 'yes' },
        ...{ GUEST: 'NOT_FOUND', OUTSIDER: 'NOT_FOUND' },
      },
      example: ({ own }) => ({ input: { teamId: own('Team'), userId: own('User') } }),
    },
    'Mutation.teamMemberRemove': {
      says: 'An ORG_ADMIN; a MANAGER who manages this team.',
      roles: {
        ...{ inside: 'FORBIDDEN', ORG_ADMIN: 'yes', MANAGER: 'yes' },
        ...{ GUEST: 'NOT_FOUND', OUTSIDER: 'NOT_FOUND' },
      },
      example: async ({ own, fresh }) => ({
        input: { teamId: own('Team'), userId: await fresh('User') },
      }),
    },
    'Mutation.projectCreate': {
      says: 'An ORG_ADMIN.',
      roles: { ...BY_ADMINS, OUTSIDER: 'NOT_FOUND' },
      example: ({ own, unique }) => ({
        input: { name: 'Project', key: unique('P').toUpperCase(), teamIds: [own('Team')] },
      }),
    },
    'Mutation.projectUpdate': {
      says: 'An ORG_ADMIN.',
      roles: { ...BY_ADMINS, GUEST: 'NOT_FOUND', OUTSIDER: 'NOT_FOUND' },
      example: ({ own, unique }) => ({ input: { id: own('Project'), name: unique('Project') } }),
    },
  },
  ids: {
    'Query.team.id': names('Team'),
    'Query.project.id': names('Project'),
    'TeamCreateInput.parentTeamId': names('Team'),
    'TeamUpdateInput.id': names('Team'),
    'TeamUpdateInput.parentTeamId': names('Team'),
    'TeamMemberAddInput.teamId': names('Team'),
    'TeamMemberAddInput.userId': names('User'),
    'TeamMemberRemoveInput.teamId': names('Team'),
    'TeamMemberRemoveInput.userId': names('User'),
    'ProjectCreateInput.teamIds': names('Team'),
    'ProjectUpdateInput.id': names('Project'),
    'ProjectUpdateInput.addTeamIds': names('Team'),
    'ProjectUpdateInput.removeTeamIds': names('Team'),
  },
  types: {
    AuditLog: {
      says: 'Everybody of the organisation; what is in it is for an ORG_ADMIN.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        id: SAME,
        'org orgExport': { inside: 'null', ORG_ADMIN: 'yes' },
      },
    },
    User: {
      says: 'Everybody of the organisation.',
      roles: SEEN_INSIDE,
      fields: { organization: SAME, teams: { GUEST: 'null' } },
    },
    Organization: {
      says: 'Everybody, their own.',
      roles: SEEN_INSIDE,
      fields: {
        'id name slug settings createdAt updatedAt archivedAt version': SAME,
        'viewerCanUpdate viewerCanCreateTeams viewerCanCreateProjects': SAME,
        plan: { GUEST: 'null' },
        usage: SAME,
      },
    },
    OrganizationPlan: {
      says: 'Everybody but a guest, their own.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: { 'name contractedName startsAt endsAt isDowngraded': SAME },
    },
    OrganizationUsage: {
      says: 'Everybody, their own; the numbers are for an ORG_ADMIN.',
      roles: SEEN_INSIDE,
      fields: { 'projects apiCalls': BY_ADMINS_ONLY },
    },
    OrganizationSettings: {
      says: 'Everybody, their own.',
      roles: SEEN_INSIDE,
      fields: { taskVisibility: SAME },
    },
    OrganizationPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors organization syncId clientMutationId': SAME },
    },
    Team: {
      says: 'Everybody but a guest.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: {
        'id name parent children memberCount members': SAME,
        'createdAt updatedAt archivedAt version viewerCanUpdate viewerCanManageMembers': SAME,
      },
    },
    TeamConnection: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'edges nodes': { GUEST: 'null' }, 'pageInfo totalCount': SAME },
    },
    TeamEdge: { says: 'Everybody but a guest.', roles: SEEN_BUT_BY_GUESTS, fields: { 'cursor node': SAME } },
    TeamPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors team syncId clientMutationId': SAME },
    },
    TeamMember: {
      says: 'Everybody but a guest.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: { 'id team user role joinedAt leftAt': SAME },
    },
    TeamMemberConnection: {
      says: 'Everybody but a guest.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: { 'edges nodes pageInfo totalCount': SAME },
    },
    TeamMemberEdge: {
      says: 'Everybody but a guest.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: { 'cursor node': SAME },
    },
    TeamMemberPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors teamMember syncId clientMutationId': SAME },
    },
    Project: {
      says: 'Everybody but a guest.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: {
        'id key name progress teams teamAssignments': SAME,
        'createdAt updatedAt archivedAt version viewerCanUpdate': SAME,
      },
    },
    ProjectConnection: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'edges nodes': { GUEST: 'null' }, 'pageInfo totalCount': SAME },
    },
    ProjectEdge: {
      says: 'Everybody but a guest.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: { 'cursor node': SAME },
    },
    ProjectPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors project syncId clientMutationId': SAME },
    },
    ProjectTeamAssignment: {
      says: 'Everybody but a guest.',
      roles: SEEN_BUT_BY_GUESTS,
      fields: { 'team assignedBy assignedAt': SAME },
    },
  },
  entities: {
    AuditLog: { inside: 'yes' },
    // The organisation is the viewer's, whoever is asked about; and a guest sees nobody's teams.
    User: { inside: 'yes', GUEST: 'null' },
    Organization: { inside: 'yes' },
    OrganizationUsage: { inside: 'yes' },
    Team: { inside: 'yes', GUEST: 'null' },
    Project: { inside: 'yes', GUEST: 'null' },
  },
};
