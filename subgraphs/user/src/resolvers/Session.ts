import { deviceOf } from '../domain/device.ts';
import type { SessionResolvers } from '../generated/graphql.ts';

export const Session: SessionResolvers = {
  device: ({ userAgent }) => deviceOf(userAgent),
  endedAt: ({ revokedAt }) => revokedAt,
  isCurrent: ({ id }, _, { viewer }) => id === viewer?.sessionId,
};
