import { readFileSync } from 'node:fs';
import { neededScope, scopes } from '@taskflow/schema/scopes';
import { buildSchema, type GraphQLObjectType } from 'graphql';
import { describe, expect, it } from 'vitest';

const api = buildSchema(readFileSync(new URL('../../schema/api.graphql', import.meta.url), 'utf8'), {
  assumeValid: true,
});
const fieldsOf = (type: GraphQLObjectType | null | undefined) =>
  Object.keys(type?.getFields() ?? {}).map((field) => `${type?.name}.${field}`);

describe('the scopes of API keys', () => {
  it('are decided for every mutation, in schema/scopes.ts', () => {
    const undecided = fieldsOf(api.getMutationType()).filter((field) => !(field in scopes));
    expect(undecided).toEqual([]);
  });

  it('are READ for what nobody decided, and nothing at all for a mutation', () => {
    expect(neededScope('Query', 'whatever')).toBe('READ');
    expect(neededScope('Subscription', 'whatever')).toBe('READ');
    expect(neededScope('Mutation', 'whatever')).toBe('PERSON');
    expect(neededScope('Query', 'apiKeys')).toBe('ADMIN');
  });
});
