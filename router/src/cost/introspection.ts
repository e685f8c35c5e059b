// How long the lists of introspection are, by the schema itself. Nothing is fetched for them, but a few nested ones make
// an answer of millions of objects out of a line.

import {
  type GraphQLSchema,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from 'graphql';

/** Read from memory: the standard query costs 1,870 points of ours, twenty of the kind of `__schema { types { fields … } }` are refused. */
export const INTROSPECTION_WEIGHT = 0.05;

/** Items of a list of introspection; null for what is no list. */
export type IntrospectionSizes = (type: string, field: string) => number | null;

export function measureIntrospection(schema: GraphQLSchema): IntrospectionSizes {
  const types = Object.values(schema.getTypeMap());
  const fields = types.flatMap((type) =>
    isObjectType(type) || isInterfaceType(type) ? [Object.values(type.getFields())] : [],
  );
  const mean = (lists: readonly (readonly unknown[])[]): number =>
    lists.length === 0 ? 1 : Math.max(1, lists.reduce((sum, list) => sum + list.length, 0) / lists.length);
  const sizes: Record<string, number> = {
    '__Schema.types': types.length,
    '__Schema.directives': schema.getDirectives().length,
    '__Type.fields': mean(fields),
    '__Type.interfaces': mean(types.filter(isObjectType).map((type) => type.getInterfaces())),
    '__Type.possibleTypes': mean(types.filter(isAbstractType).map((type) => schema.getPossibleTypes(type))),
    '__Type.enumValues': mean(types.filter(isEnumType).map((type) => type.getValues())),
    '__Type.inputFields': mean(
      types.filter(isInputObjectType).map((type) => Object.values(type.getFields())),
    ),
    '__Field.args': mean(fields.flat().map(({ args }) => args)),
    '__Directive.args': mean(schema.getDirectives().map(({ args }) => args)),
  };
  return (type, field) => sizes[`${type}.${field}`] ?? null;
}
