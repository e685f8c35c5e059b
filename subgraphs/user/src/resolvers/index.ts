import { scalars } from '@taskflow/kit/scalars';
import type { Resolvers } from '../generated/graphql.ts';
import { ApiKey } from './ApiKey.ts';
import { Invite } from './Invite.ts';
import { Mutation } from './Mutation.ts';
import { OrganizationUsage } from './OrganizationUsage.ts';
import { Query } from './Query.ts';
import { User } from './User.ts';

export const resolvers: Resolvers = { ...scalars, ApiKey, Invite, Mutation, OrganizationUsage, Query, User };
