import { callOf } from '@taskflow/kit/call';
import { payloadOf } from '@taskflow/kit/errors';
import type { MutationResolvers } from '../generated/graphql.ts';

export const Mutation: MutationResolvers = {
  taskCreate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.tasks.create(callOf(context, info), input);
      return { task: row, syncId };
    }),

  taskUpdate: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.tasks.update(callOf(context, info), input);
      return { task: row, syncId };
    }),

  taskDelete: (_, { input }, context, info) =>
    payloadOf(input, async () => {
      const { row, syncId } = await context.tasks.delete(callOf(context, info), input);
      return { task: row, syncId };
    }),
};
