import { callOf } from '@taskflow/kit/call';
import { payloadOf } from '@taskflow/kit/errors';
import type { MutationResolvers } from '../generated/graphql.ts';

export const Mutation: MutationResolvers = {
  organizationUpdate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.organizations.update(callOf(context, info), input);
      return { organization: row, syncId };
    }),

  teamCreate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.teams.create(callOf(context, info), input);
      return { team: row, syncId };
    }),

  teamUpdate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.teams.update(callOf(context, info), input);
      return { team: row, syncId };
    }),

  teamMemberAdd: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.teamMembers.add(callOf(context, info), input);
      return { teamMember: row, syncId };
    }),

  teamMemberRemove: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.teamMembers.remove(callOf(context, info), input);
      return { teamMember: row, syncId };
    }),

  projectCreate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.projects.create(callOf(context, info), input);
      return { project: row, syncId };
    }),

  projectUpdate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.projects.update(callOf(context, info), input);
      return { project: row, syncId };
    }),
};
