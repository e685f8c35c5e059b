import { type Changed, callOf, viewerOf } from '@taskflow/kit/call';
import { payloadOf } from '@taskflow/kit/errors';
import type { Context } from '../context.ts';
import type { MemberRow } from '../data/members.ts';
import type { Proved } from '../domain/email-addresses.ts';
import type { SignedIn } from '../domain/sessions.ts';
import type { MutationResolvers } from '../generated/graphql.ts';

/** The rest of the operation runs as who has just signed in. Tokens that become cookies are not answered as well. */
async function establish(context: Context, signingIn: Promise<SignedIn>) {
  const { viewer, ...answer } = await signingIn;
  if (!context.claims.tokensAsCookies) {
    context.establish(viewer);
    return answer;
  }
  const { accessToken, accessTokenExpiresAt, refreshToken, refreshTokenExpiresAt } = answer;
  context.establish(viewer, {
    ...{ accessToken, accessTokenExpiresAt: accessTokenExpiresAt.getTime() },
    ...{ refreshToken, refreshTokenExpiresAt: refreshTokenExpiresAt.getTime() },
  });
  return { ...answer, accessToken: null, refreshToken: null };
}

/** That of the cookie where the input names none. */
const refreshTokenOf = (input: { refreshToken?: string | null | undefined }, { claims }: Context) => ({
  refreshToken: input.refreshToken || claims.refreshToken || '',
});

const changed = async (changing: Promise<Changed<MemberRow>>) => {
  const { row, syncId } = await changing;
  return { user: row, syncId };
};

/** Who is signed in, when it is this person. */
const viewerAs = async ({ loaders, viewer }: Context, userId = viewer?.userId) =>
  viewer?.userId === userId && userId ? loaders.user.load(userId) : null;

const proved = async (context: Context, proving: Promise<Proved>) => {
  const { userId, ...answer } = await proving;
  return { ...answer, user: await viewerAs(context, userId) };
};

export const Mutation: MutationResolvers = {
  register: (_, { input }, context) =>
    payloadOf(input, () => establish(context, context.accounts.register(context.client, input))),

  login: (_, { input }, context) =>
    payloadOf(input, () => establish(context, context.accounts.login(context.client, input))),

  signInStart: (_, { input }, context) =>
    payloadOf(input, async () => {
      const { url, flowToken } = await context.providerSignIn.start(input);
      return { authorizationUrl: url, flowToken, syncId: null };
    }),

  signInComplete: (_, { input }, context) =>
    payloadOf(input, () => establish(context, context.providerSignIn.complete(context.client, input))),

  identityUnlink: (_, { input }, context) =>
    payloadOf(input, async () => {
      await context.providerSignIn.unlink(viewerOf(context), context.client, input.provider);
      return { user: await viewerAs(context), syncId: null };
    }),

  tokenRefresh: (_, { input }, context) =>
    payloadOf(input, () =>
      establish(context, context.sessions.refresh(context.client, refreshTokenOf(input, context))),
    ),

  logout: (_, _args, context, info) =>
    payloadOf(null, async () => {
      await context.sessions.end(callOf(context, info));
      return { syncId: null };
    }),

  sessionRevoke: (_, { input }, context, info) =>
    payloadOf(input, () => context.ownSessions.revoke(callOf(context, info), input)),

  sessionRevokeOthers: (_, { input }, context, info) =>
    payloadOf(input, () => context.ownSessions.revokeOthers(callOf(context, info), input)),

  sessionRevokeAll: (_, { input }, context, info) =>
    payloadOf(input, () => context.ownSessions.revokeAll(callOf(context, info), input)),

  sessionSwitchOrganization: (_, { input }, context, info) =>
    payloadOf(input, () => establish(context, context.memberships.switchTo(callOf(context, info), input))),

  inviteCreate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, token } = await context.invites.create(callOf(context, info), input);
      return { invite: row, token, syncId: null };
    }),

  inviteResend: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, token } = await context.sentInvites.resend(callOf(context, info), input);
      return { invite: row, token, syncId: null };
    }),

  inviteCancel: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const row = await context.sentInvites.cancel(callOf(context, info), input);
      return { invite: row, token: null, syncId: null };
    }),

  inviteAccept: (_, { input }, context) =>
    payloadOf(input, () => establish(context, context.invites.accept(context.client, input))),

  userDataExport: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.dataExports.request(callOf(context, info), input);
      return { dataExport: row, syncId };
    }),

  apiKeyCreate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, secret } = await context.apiKeys.create(callOf(context, info), input);
      return { apiKey: row, secret, syncId: null };
    }),

  apiKeyRevoke: (_, { input }, context, info) =>
    payloadOf(input, async () => ({
      apiKey: await context.apiKeys.revoke(callOf(context, info), input),
      syncId: null,
    })),

  passwordChange: (_, { input }, context) =>
    payloadOf(input, () =>
      establish(context, context.passwordChanges.change(viewerOf(context), context.client, input)),
    ),

  passwordResetRequest: (_, { input }, context) =>
    payloadOf(input, async () => {
      await context.passwordChanges.requestReset(context.client, input);
      return { user: null, syncId: null };
    }),

  passwordReset: (_, { input }, context) =>
    payloadOf(input, () => establish(context, context.passwordChanges.reset(context.client, input))),

  emailVerificationSend: (_, { input }, context) =>
    payloadOf(input, async () => {
      await context.addresses.sendVerification(viewerOf(context), context.client);
      return { user: await viewerAs(context), syncId: null };
    }),

  emailVerify: (_, { input }, context) =>
    payloadOf(input, () => proved(context, context.addresses.verify(context.client, input))),

  emailChangeRequest: (_, { input }, context) =>
    payloadOf(input, async () => {
      await context.addresses.requestChange(viewerOf(context), context.client, input);
      return { user: await viewerAs(context), syncId: null };
    }),

  emailChangeConfirm: (_, { input }, context) =>
    payloadOf(input, () => proved(context, context.addresses.confirmChange(context.client, input))),

  userUpdate: (_, { input }, context, info) =>
    payloadOf(input, () => changed(context.profiles.update(callOf(context, info), input))),

  userRoleChange: (_, { input }, context, info) =>
    payloadOf(input, () => changed(context.members.changeRole(callOf(context, info), input))),

  userSuspend: (_, { input }, context, info) =>
    payloadOf(input, () => changed(context.members.suspend(callOf(context, info), input))),

  userReinstate: (_, { input }, context, info) =>
    payloadOf(input, () => changed(context.members.reinstate(callOf(context, info), input))),

  userRemove: (_, { input }, context, info) =>
    payloadOf(input, () => changed(context.members.remove(callOf(context, info), input))),

  userErase: (_, { input }, context, info) =>
    payloadOf(input, () => changed(context.erasures.erase(callOf(context, info), context.client, input))),

  organizationLeave: (_, { input }, context, info) =>
    payloadOf(input, () => changed(context.members.leave(callOf(context, info), input))),
};
