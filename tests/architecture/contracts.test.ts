import { buildSubgraphSchema } from '@apollo/subgraph';
import { USER_ERROR_CODES } from '@taskflow/kit/errors';
import type { Fact } from '@taskflow/kit/outbox';
import type { AnyFact } from '@taskflow/schema/events';
import { subgraphNames, subgraphSdl } from '@taskflow/schema/sdl';
import { type EnumTypeDefinitionNode, Kind, parse } from 'graphql';
import { describe, expect, expectTypeOf, test } from 'vitest';

describe('kit and schema, which may not import each other, agree', () => {
  test('on the codes of user errors', () => {
    const code = parse(subgraphSdl('user')).definitions.find(
      (node): node is EnumTypeDefinitionNode =>
        node.kind === Kind.ENUM_TYPE_DEFINITION && node.name.value === 'UserErrorCode',
    );
    expect(code?.values?.map(({ name }) => name.value).sort()).toEqual([...USER_ERROR_CODES].sort());
  });

  test('on the envelope of a fact', () => {
    expectTypeOf<AnyFact>().toExtend<Fact>();
  });
});

test.each(subgraphNames)('the SDL of %s makes a subgraph', (name) => {
  expect(() => buildSubgraphSchema(parse(subgraphSdl(name)))).not.toThrow();
});
