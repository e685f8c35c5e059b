/**
 * What an API key needs for each root field. A field that is not named here needs:
 *
 *   queries and subscriptions   READ
 *   mutations                   nothing helps: they are for people (a test asks for an entry all the same)
 *
 * PERSON: no key, whatever its scopes. Who a person is, how they prove it, and handing out new keys are never a machine's
 * business: a stolen key must not become an account. What is allowed at all is still decided by the role of the person
 * who made the key. A field deeper in the graph that is for people alone asks for `viewer.scopes` itself.
 */
export type NeededScope = 'READ' | 'WRITE' | 'ADMIN' | 'PERSON';

export const scopes: Readonly<Record<string, NeededScope>> = {
  // Proving who one is.
  'Mutation.register': 'PERSON',
  'Mutation.login': 'PERSON',
  'Mutation.tokenRefresh': 'PERSON',
  'Mutation.logout': 'PERSON',
  'Mutation.inviteAccept': 'PERSON',
  'Mutation.passwordChange': 'PERSON',
  'Mutation.passwordResetRequest': 'PERSON',
  'Mutation.passwordReset': 'PERSON',
  'Mutation.emailVerify': 'PERSON',
  'Mutation.emailVerificationSend': 'PERSON',
  'Mutation.emailChangeRequest': 'PERSON',
  'Mutation.emailChangeConfirm': 'PERSON',
  'Mutation.signInStart': 'PERSON',
  'Mutation.signInComplete': 'PERSON',

  // Being somebody.
  'Query.sessions': 'PERSON',
  'Mutation.sessionRevoke': 'PERSON',
  'Mutation.sessionRevokeOthers': 'PERSON',
  'Mutation.sessionRevokeAll': 'PERSON',
  'Mutation.sessionSwitchOrganization': 'PERSON',
  'Mutation.userUpdate': 'PERSON',
  'Mutation.identityUnlink': 'PERSON',
  'Mutation.organizationLeave': 'PERSON',
  'Mutation.userDataExport': 'PERSON',
  'Query.dataExports': 'PERSON',
  'Mutation.userErase': 'PERSON',
  'Mutation.apiKeyCreate': 'PERSON',

  // Administration.
  'Mutation.inviteCreate': 'ADMIN',
  'Mutation.inviteResend': 'ADMIN',
  'Mutation.inviteCancel': 'ADMIN',
  'Query.invites': 'ADMIN',
  'Mutation.userRoleChange': 'ADMIN',
  'Mutation.userSuspend': 'ADMIN',
  'Mutation.userReinstate': 'ADMIN',
  'Mutation.userRemove': 'ADMIN',
  'Mutation.organizationUpdate': 'ADMIN',
  'Query.auditLog': 'ADMIN',
  'Query.apiKeys': 'ADMIN',
  'Mutation.apiKeyRevoke': 'ADMIN',

  // Work.
  'Mutation.teamCreate': 'WRITE',
  'Mutation.teamUpdate': 'WRITE',
  'Mutation.teamMemberAdd': 'WRITE',
  'Mutation.teamMemberRemove': 'WRITE',
  'Mutation.projectCreate': 'WRITE',
  'Mutation.projectUpdate': 'WRITE',
  'Mutation.taskCreate': 'WRITE',
  'Mutation.taskUpdate': 'WRITE',
  'Mutation.taskDelete': 'WRITE',
  'Mutation.notificationMarkRead': 'WRITE',
};

/** For `createGraphqlService`. `type` is `Query`, `Mutation` or `Subscription`. */
export function neededScope(type: string, field: string): NeededScope {
  return scopes[`${type}.${field}`] ?? (type === 'Mutation' ? 'PERSON' : 'READ');
}
