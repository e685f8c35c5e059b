import { viewerOf } from '@taskflow/kit/call';
import type { QueryResolvers } from '../generated/graphql.ts';

export const Query: QueryResolvers = {
  viewer: async (_, _args, context) =>
    context.people.present(await context.loaders.user.load(viewerOf(context).userId)),
  invites: (_, args, context) => context.sentInvites.list(viewerOf(context), args),
  apiKeys: (_, args, context) => context.apiKeys.list(viewerOf(context), args),
  dataExports: (_, _args, context) => context.dataExports.list(viewerOf(context)),
  // The routers ask as nobody: whoever is signed in has no business here.
  apiKeyIdentify: (_, { organizationId, hash }, context) =>
    context.viewer ? null : context.apiKeys.identify(organizationId, hash),
  signInProviders: (_, _args, { providerSignIn }) => providerSignIn.listProviders(),
  users: (_, args, context) => context.people.list(viewerOf(context), args),
  sessions: (_, args, context) => context.ownSessions.list(viewerOf(context), args),
};
