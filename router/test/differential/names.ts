// Names in the answer, given so that fields of one name can always merge (specification, "Field Selection Merging").
//
// Stricter than the specification, and simple: in one document a name stands for one shape everywhere; and for one
// field with one set of arguments, except in different object types. So different fields do share names where they may.

import {
  type GraphQLCompositeType,
  type GraphQLField,
  getNamedType,
  isLeafType,
  isObjectType,
} from 'graphql';
import { hashOf } from './hash.ts';

export interface Names {
  /** `wanted` 0..99: mostly the field's own name, otherwise an alias, or one that other types use for other fields. */
  nameFor(type: GraphQLCompositeType, field: Field, args: string, wanted: number): string;
}

type Field = GraphQLField<unknown, unknown>;

interface Use {
  type: string;
  isObject: boolean;
  asked: string;
  shape: string;
}

export function createNames(): Names {
  const uses = new Map<string, Use[]>();

  function isFree(name: string, use: Use): boolean {
    return (uses.get(name) ?? []).every(
      (other) =>
        other.shape === use.shape &&
        (other.asked === use.asked || (other.isObject && use.isObject && other.type !== use.type)),
    );
  }

  return {
    nameFor(type, field, args, wanted) {
      const shape = shapeOf(field);
      const use = { type: type.name, isObject: isObjectType(type), asked: `${field.name}${args}`, shape };
      const own = `${field.name}_${hashOf(`${use.asked} ${shape}`).toString(36)}`;
      const shared = `same_${hashOf(shape).toString(36).slice(0, 3)}${wanted % 2}`;
      const order = wanted < 70 ? [field.name, own] : wanted < 85 ? [own] : [shared, field.name, own];
      const name = order.find((one) => isFree(one, use)) ?? own;
      uses.set(name, [...(uses.get(name) ?? []), use]);
      return name;
    },
  };
}

/** Leaf types have to be the same, of composite types only the lists and non-nulls around them. */
function shapeOf({ type }: Field): string {
  const named = getNamedType(type);
  return isLeafType(named) ? String(type) : String(type).replace(named.name, '{}');
}
