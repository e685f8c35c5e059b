/** Who may do what of schema/user.graphql. Everybody sees people by reference; a guest lists nobody but themselves. */
import {
  ANY_PERSON,
  ANYBODY,
  BY_ADMINS_ONLY,
  EVERYBODY_INSIDE,
  NAMED_INSIDE,
  names,
  type Outcome,
  PEOPLE_INSIDE,
  type Row,
  type Rules,
  SAME,
  SEEN_BY_PEOPLE,
  SEEN_INSIDE,
} from './rule.ts';

/** A guest does not find the person whom they name. */
const CHANGES_PEOPLE: Row<Outcome> = {
  ...{ inside: 'FORBIDDEN', ORG_ADMIN: 'yes', GUEST: 'NOT_FOUND', API_KEY: 'FORBIDDEN' },
  OUTSIDER: 'NOT_FOUND',
};

/** A token that nobody has. */
const NEEDS_MAIL: Row<Outcome> = {
  ...{ inside: 'NOT_FOUND', API_KEY: 'FORBIDDEN', OUTSIDER: 'NOT_FOUND', ANONYMOUS: 'NOT_FOUND' },
};
/** A key without the scope ADMIN reads nothing of invites. */
const SEEN_BY_ADMINS = { inside: 'absent', ORG_ADMIN: 'yes', API_KEY: 'absent' } as const;
const EMPTY_FOR_ANYBODY = { inside: 'empty', OUTSIDER: 'empty', ANONYMOUS: 'empty' } as const;
const NO_FLOW: Row<Outcome> = {
  ...{ inside: 'INVALID_CREDENTIALS', OUTSIDER: 'INVALID_CREDENTIALS', ANONYMOUS: 'INVALID_CREDENTIALS' },
  API_KEY: 'FORBIDDEN',
};
const UNLINKS_NOTHING = { inside: 'NOT_FOUND', OUTSIDER: 'NOT_FOUND', API_KEY: 'FORBIDDEN' } as const;

export const user: Rules = {
  operations: {
    'Query.viewer': { says: 'Everybody, themselves.', roles: EVERYBODY_INSIDE },
    'Query.users': {
      says: 'Everybody; a guest finds only themselves.',
      roles: EVERYBODY_INSIDE,
    },
    'Query.invites': {
      says: 'An ORG_ADMIN; for everybody else there are none.',
      roles: { inside: 'empty', ORG_ADMIN: 'yes', API_KEY: 'FORBIDDEN', OUTSIDER: 'yes' },
    },
    'Query.sessions': { says: 'Everybody, their own.', roles: PEOPLE_INSIDE },
    'Mutation.register': {
      says: 'Anybody. It always founds an organisation of its own.',
      roles: ANY_PERSON,
      example: ({ unique }) => ({
        input: {
          ...{ email: `${unique('founder')}@acme.test`, password: 'correct horse battery' },
          ...{ name: 'Founder', organizationName: unique('Acme') },
        },
      }),
    },
    'Mutation.login': {
      says: 'Anybody who knows address and password.',
      roles: ANY_PERSON,
      example: ({ person: { email, password } }) => ({ input: { email, password } }),
    },
    'Mutation.tokenRefresh': {
      says: 'Anybody who has the refresh token.',
      roles: ANY_PERSON,
      example: async ({ refreshToken }) => ({ input: { refreshToken: await refreshToken() } }),
    },
    'Mutation.logout': { says: 'Everybody, their own session.', roles: PEOPLE_INSIDE, as: 'session' },
    'Mutation.sessionRevoke': {
      says: 'Everybody, one of their own.',
      roles: { ...NAMED_INSIDE, API_KEY: 'FORBIDDEN' },
      example: async ({ fresh }) => ({ input: { id: await fresh('Session') } }),
    },
    'Mutation.sessionRevokeOthers': {
      says: 'Everybody, their own.',
      roles: PEOPLE_INSIDE,
      example: () => ({ input: {} }),
      as: 'newcomer',
    },
    'Mutation.sessionRevokeAll': {
      says: 'Everybody, their own.',
      roles: PEOPLE_INSIDE,
      example: () => ({ input: {} }),
      as: 'newcomer',
    },
    'Mutation.sessionSwitchOrganization': {
      says: 'Everybody, to an organisation that they belong to.',
      roles: { ...NAMED_INSIDE, API_KEY: 'FORBIDDEN' },
      example: ({ own }) => ({ input: { organizationId: own('Organization') } }),
    },
    'Mutation.inviteCreate': {
      says: 'An ORG_ADMIN, to their own organisation.',
      roles: { inside: 'FORBIDDEN', ORG_ADMIN: 'yes', API_KEY: 'FORBIDDEN', OUTSIDER: 'yes' },
      example: ({ unique }) => ({ input: { email: `${unique('invited')}@acme.test`, role: 'MEMBER' } }),
    },
    'Mutation.inviteResend': {
      says: 'An ORG_ADMIN; nobody else sees invites.',
      roles: { inside: 'NOT_FOUND', ORG_ADMIN: 'yes', API_KEY: 'FORBIDDEN', OUTSIDER: 'NOT_FOUND' },
      example: async ({ fresh }) => ({ input: { id: await fresh('Invite') } }),
    },
    'Mutation.inviteCancel': {
      says: 'An ORG_ADMIN; nobody else sees invites.',
      roles: { inside: 'NOT_FOUND', ORG_ADMIN: 'yes', API_KEY: 'FORBIDDEN', OUTSIDER: 'NOT_FOUND' },
      example: async ({ fresh }) => ({ input: { id: await fresh('Invite') } }),
    },
    'Mutation.inviteAccept': {
      says: 'Anybody who has the token.',
      roles: ANY_PERSON,
      example: async ({ inviteToken }) => ({
        input: { token: await inviteToken(), name: 'Invited', password: 'correct horse battery' },
      }),
    },
    'Mutation.passwordChange': {
      says: 'Everybody who knows their password, their own.',
      roles: PEOPLE_INSIDE,
      example: ({ person, unique }) => ({
        input: { currentPassword: person.password, newPassword: unique('another horse ') },
      }),
      as: 'newcomer',
    },
    'Mutation.passwordResetRequest': {
      says: 'Anybody, for any address.',
      roles: ANY_PERSON,
      example: ({ unique }) => ({ input: { email: `${unique('nobody')}@acme.test` } }),
    },
    'Mutation.passwordReset': {
      says: 'Anybody who has the token; this one nobody has.',
      roles: NEEDS_MAIL,
      example: ({ unique }) => ({ input: { token: 'pwd_x', newPassword: unique('another horse ') } }),
    },
    'Query.signInProviders': { says: 'Anybody; none is set up here.', roles: EMPTY_FOR_ANYBODY },
    'Mutation.signInStart': {
      says: 'Anybody, with a provider that is set up; here none is.',
      roles: NEEDS_MAIL,
      example: () => ({ input: { provider: 'google', redirectUri: 'http://localhost:4000/sign-in' } }),
    },
    'Mutation.signInComplete': {
      says: 'Anybody who comes back from a provider; nobody has been at one.',
      roles: NO_FLOW,
      example: () => ({ input: { flowToken: 'x', callbackUrl: 'http://localhost:4000/sign-in?code=x' } }),
    },
    'Mutation.identityUnlink': {
      says: 'Everybody, their own; nobody has one.',
      roles: UNLINKS_NOTHING,
      example: () => ({ input: { provider: 'google' } }),
    },
    'Mutation.emailVerificationSend': {
      says: 'Everybody, to their own address.',
      roles: PEOPLE_INSIDE,
      example: () => ({ input: {} }),
      as: 'newcomer',
    },
    'Mutation.emailVerify': {
      says: 'Anybody who has the token; this one nobody has.',
      roles: NEEDS_MAIL,
      example: () => ({ input: { token: 'ver_x' } }),
    },
    'Mutation.emailChangeRequest': {
      says: 'Everybody who knows their password, for their own address.',
      roles: PEOPLE_INSIDE,
      example: ({ person, unique }) => ({
        input: { email: `${unique('moved')}@acme.test`, password: person.password },
      }),
      as: 'newcomer',
    },
    'Mutation.emailChangeConfirm': {
      says: 'Anybody who has the token; this one nobody has.',
      roles: NEEDS_MAIL,
      example: () => ({ input: { token: 'eml_x' } }),
    },
    'Mutation.userUpdate': {
      says: 'Everybody, themselves.',
      roles: PEOPLE_INSIDE,
      example: ({ unique }) => ({ input: { name: unique('Renamed') } }),
      as: 'newcomer',
    },
    'Mutation.userRoleChange': {
      says: 'An ORG_ADMIN.',
      roles: CHANGES_PEOPLE,
      example: async ({ fresh }) => ({ input: { id: await fresh('User'), role: 'MANAGER' } }),
    },
    'Query.dataExports': {
      says: 'Everybody, their own; no API key.',
      roles: { inside: 'empty', OUTSIDER: 'empty', API_KEY: 'FORBIDDEN' },
    },
    'Mutation.userDataExport': {
      says: 'Everybody, their own; no API key.',
      roles: PEOPLE_INSIDE,
      example: () => ({ input: {} }),
      as: 'newcomer',
    },
    'Query.apiKeys': {
      says: 'Everybody, their own; an ORG_ADMIN all of the organisation; a key with the scope ADMIN.',
      roles: PEOPLE_INSIDE,
    },
    'Mutation.apiKeyCreate': {
      says: 'Everybody, for themselves; no API key.',
      roles: PEOPLE_INSIDE,
      example: ({ unique }) => ({ input: { name: unique('Key'), scopes: ['READ'] } }),
    },
    'Mutation.apiKeyRevoke': {
      says: 'Everybody, their own; an ORG_ADMIN every one of the organisation; a key with the scope ADMIN.',
      roles: { ...NAMED_INSIDE, API_KEY: 'FORBIDDEN' },
      example: async ({ fresh }) => ({ input: { id: await fresh('ApiKey') } }),
    },
    'Mutation.userSuspend': {
      says: 'An ORG_ADMIN, anybody but themselves.',
      roles: CHANGES_PEOPLE,
      example: async ({ fresh }) => ({ input: { id: await fresh('User') } }),
    },
    'Mutation.userReinstate': {
      says: 'An ORG_ADMIN.',
      roles: CHANGES_PEOPLE,
      example: async ({ fresh }) => ({ input: { id: await fresh('User') } }),
    },
    'Mutation.userRemove': {
      says: 'An ORG_ADMIN.',
      roles: CHANGES_PEOPLE,
      example: async ({ fresh }) => ({ input: { id: await fresh('User') } }),
    },
    'Mutation.userErase': {
      says: 'An ORG_ADMIN, and everybody themselves; with their password.',
      roles: CHANGES_PEOPLE,
      example: async ({ fresh, person }) => ({
        input: { userId: await fresh('User'), password: person.password },
      }),
    },
    'Mutation.organizationLeave': {
      says: 'Everybody but the last ORG_ADMIN, themselves.',
      roles: PEOPLE_INSIDE,
      example: () => ({ input: {} }),
      as: 'newcomer',
    },
  },
  ids: {
    'InviteResendInput.id': names('Invite'),
    'InviteCancelInput.id': names('Invite'),
    'SessionRevokeInput.id': names('Session'),
    'SessionSwitchOrganizationInput.organizationId': names('Organization'),
    'UserRoleChangeInput.id': names('User'),
    'ApiKeyRevokeInput.id': names('ApiKey'),
    'UserSuspendInput.id': names('User'),
    'UserReinstateInput.id': names('User'),
    'UserEraseInput.userId': names('User'),
    'UserRemoveInput.id': names('User'),
  },
  types: {
    AuditLog: {
      says: 'Everybody of the organisation; what is in it is for an ORG_ADMIN.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        'user userExport': { inside: 'null', ORG_ADMIN: 'yes' },
      },
    },
    User: {
      says: 'Everybody of the organisation.',
      roles: SEEN_INSIDE,
      fields: {
        'id name email role status isViewer createdAt updatedAt archivedAt version': SAME,
        emailVerifiedAt: { inside: 'self', ORG_ADMIN: 'yes', API_KEY: 'yes' },
        'viewerCanChangeRole viewerCanSuspend viewerCanRemove': SAME,
        memberships: { inside: 'self', API_KEY: 'null' },
        identities: { inside: 'self', API_KEY: 'null' },
      },
    },
    OrganizationUsage: {
      says: 'Everybody, their own; the numbers are for an ORG_ADMIN.',
      roles: SEEN_INSIDE,
      fields: { members: BY_ADMINS_ONLY },
    },
    Identity: {
      says: 'The person themselves.',
      roles: SEEN_INSIDE,
      fields: { 'provider providerName email createdAt lastUsedAt': SAME },
    },
    SignInProvider: { says: 'Anybody.', roles: ANYBODY, fields: { 'id name': SAME } },
    SignInStartPayload: {
      says: 'Whoever asks.',
      roles: ANYBODY,
      fields: { 'success userErrors authorizationUrl flowToken syncId clientMutationId': SAME },
    },
    IdentityUnlinkPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors user syncId clientMutationId': SAME },
    },
    Membership: {
      says: 'The person themselves.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        'organizationId organizationName isOrganizationSuspended': SAME,
        'role status isCurrent viewerCanSwitch joinedAt': SAME,
      },
    },
    Session: {
      says: 'The person themselves.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        'id createdAt lastActiveAt expiresAt endedAt device userAgent address isCurrent': SAME,
      },
    },
    SessionConnection: {
      says: 'Whoever asks.',
      roles: SEEN_BY_PEOPLE,
      fields: { 'edges nodes pageInfo totalCount': SAME },
    },
    SessionEdge: { says: 'Whoever asks.', roles: SEEN_BY_PEOPLE, fields: { 'cursor node': SAME } },
    SessionsPayload: {
      says: 'Whoever asks.',
      roles: SEEN_BY_PEOPLE,
      fields: { 'success userErrors sessions revokedCount syncId clientMutationId': SAME },
    },
    UserConnection: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'edges nodes pageInfo totalCount': SAME },
    },
    UserEdge: { says: 'Whoever asks.', roles: SEEN_INSIDE, fields: { 'cursor node': SAME } },
    ApiKey: {
      says: 'Who made it; an ORG_ADMIN of the organisation.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        'id name prefix scopes createdBy createdAt expiresAt': SAME,
        'lastUsedAt revokedAt requestsPerMinute': SAME,
      },
    },
    DataExport: {
      says: 'The person themselves.',
      roles: SEEN_BY_PEOPLE,
      fields: { 'id state createdAt readyAt expiresAt sizeBytes archive': SAME },
    },
    DataExportPayload: {
      says: 'Whoever asks.',
      roles: SEEN_BY_PEOPLE,
      fields: { 'success userErrors dataExport syncId clientMutationId': SAME },
    },
    ApiKeyConnection: {
      says: 'Whoever asks.',
      roles: SEEN_BY_PEOPLE,
      fields: { 'edges nodes pageInfo totalCount': SAME },
    },
    ApiKeyEdge: { says: 'Whoever asks.', roles: SEEN_BY_PEOPLE, fields: { 'cursor node': SAME } },
    ApiKeyPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors syncId clientMutationId apiKey secret': SAME },
    },
    Invite: {
      says: 'An ORG_ADMIN of the organisation.',
      roles: SEEN_BY_ADMINS,
      fields: { 'id email role invitedBy status expiresAt createdAt updatedAt acceptedAt canceledAt': SAME },
    },
    InviteConnection: {
      says: 'Whoever asks.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        'edges nodes': { inside: 'null', ORG_ADMIN: 'yes', API_KEY: 'absent' },
        'pageInfo totalCount': SAME,
      },
    },
    InviteEdge: {
      says: 'An ORG_ADMIN of the organisation.',
      roles: SEEN_BY_ADMINS,
      fields: { 'cursor node': SAME },
    },
    InvitePayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors syncId clientMutationId invite token': SAME },
    },
    AuthPayload: {
      says: 'Whoever signs in.',
      roles: ANYBODY,
      fields: {
        'success userErrors accessToken accessTokenExpiresAt refreshToken user': SAME,
        'flowToken syncId clientMutationId': SAME,
      },
    },
    UserPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors user syncId clientMutationId': SAME },
    },
    CredentialPayload: {
      says: 'Whoever asks.',
      roles: ANYBODY,
      fields: { 'success userErrors user syncId clientMutationId': SAME },
    },
    EmailChangePayload: {
      says: 'Whoever asks.',
      roles: ANYBODY,
      fields: { 'success userErrors isComplete user syncId clientMutationId': SAME },
    },
    LogoutPayload: {
      says: 'Whoever signs out.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors syncId clientMutationId': SAME },
    },
  },
  hidden: {
    'Query.apiKeyIdentify': 'The routers, with a context of their own, to know whom a key stands for.',
  },
  entities: {
    AuditLog: { inside: 'yes' },
    User: { inside: 'yes' },
    OrganizationUsage: { inside: 'yes' },
  },
};
