// The one universe of data behind a supergraph: subgraphs and the monolith both read it, so they must agree.
//
//   Thing              an object: an entity (one of POPULATION of its type) or a value object (named by the way to it)
//   field(thing, …)    its value, drawn from the seed, the thing, the field and the arguments, shaped by the SDL
//   find(…, key)       the entity that a representation means: the one whose key fields have these values
//
// A field with @requires (or an argument from a @context) draws from what it requires as well: an executor that
// brings wrong requirements gets a wrong value.

import {
  type GraphQLOutputType,
  type GraphQLSchema,
  getArgumentValues,
  isEnumType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import { canonical, drawn, hashOf, isDrawn } from './hash.ts';
import { type FederationRules, federationRules } from './rules.ts';
import type { TestSubgraph, TestSupergraph } from './supergraph.ts';

/** Objects in fields are things, lists are arrays, everything else is a JSON value. */
export class Thing {
  readonly type: string;
  readonly id: string;
  /** Its number among the entities of its type; 0 for value objects. */
  readonly ordinal: number;
  /** Where it was reached from, for arguments that come from a context. */
  readonly parent: Thing | null;

  constructor(type: string, id: string, ordinal: number, parent: Thing | null) {
    this.type = type;
    this.id = id;
    this.ordinal = ordinal;
    this.parent = parent;
  }
}

/** How many entities of each type there are: few, so that lists repeat them. */
const POPULATION = 4;
const NULL_SHARE = 0.12;

type Shape =
  | { kind: 'list'; nonNull: boolean; of: Shape }
  | { kind: 'object'; nonNull: boolean; types: readonly string[] }
  | { kind: 'leaf'; nonNull: boolean; name: string; values: readonly string[] | null };

export interface Model {
  readonly rules: FederationRules;
  root(kind: 'Query' | 'Mutation'): Thing;
  /** `required`: what a field with requirements was given, null for one without. */
  field(thing: Thing, name: string, args: Record<string, unknown>, required: unknown): unknown;
  /** What the universe itself says that the field requires. */
  requirements(thing: Thing, name: string): unknown;
  find(subgraph: TestSubgraph, type: string, representation: Record<string, unknown>): Thing | null;
}

export function createModel(supergraph: TestSupergraph, seed: number): Model {
  const { full, api } = supergraph;
  const rules = federationRules(supergraph);
  const shapes = new Map<string, Shape | null>();
  const typeNames = Object.keys(full.getTypeMap()).sort();

  function shapeOf(type: string, name: string): Shape | null {
    const key = `${type}.${name}`;
    const known = shapes.get(key);
    if (known !== undefined) return known;
    const declared = supergraph.subgraphs.flatMap((subgraph) => {
      const found = rules.declarationOf(subgraph, type, name);
      return found ? [{ type: found.type, subgraph }] : [];
    });
    const shape = declared.length ? mergedShape(declared) : null;
    shapes.set(key, shape);
    return shape;
  }

  /** What all subgraphs that have the field can give: the strictest nullability, the common types and enum values. */
  function mergedShape(declared: { type: GraphQLOutputType; subgraph: TestSubgraph }[]): Shape {
    const nonNull = declared.some(({ type }) => isNonNullType(type));
    const bare = declared.map(({ type, subgraph }) => ({
      type: isNonNullType(type) ? type.ofType : type,
      subgraph,
    }));
    const first = bare[0]?.type;
    if (isListType(first)) {
      const items = bare.map(({ type, subgraph }) => ({
        type: isListType(type) ? type.ofType : type,
        subgraph,
      }));
      return { kind: 'list', nonNull, of: mergedShape(items) };
    }
    if (isLeafType(first)) {
      const values = isEnumType(first)
        ? common(
            bare.map(({ type }) => (isEnumType(type) ? type.getValues().map((value) => value.name) : [])),
          )
        : null;
      return { kind: 'leaf', nonNull, name: first.name, values };
    }
    const types = common(bare.map(({ type, subgraph }) => concreteTypes(subgraph, type)));
    return { kind: 'object', nonNull, types };
  }

  function concreteTypes({ schema, name }: TestSubgraph, type: GraphQLOutputType): string[] {
    if (isInterfaceType(type) || isUnionType(type)) {
      return schema.getPossibleTypes(type).flatMap((member) => implementationsOf(name, member.name));
    }
    return isObjectType(type) ? implementationsOf(name, type.name) : [];
  }

  /** An @interfaceObject stands for all implementations of its interface. */
  function implementationsOf(subgraph: string, type: string): string[] {
    if (!rules.isInterfaceObject(subgraph, type)) return [type];
    const named = full.getType(type);
    return isInterfaceType(named) ? full.getPossibleTypes(named).map(({ name }) => name) : [type];
  }

  const entity = (type: string, ordinal: number, parent: Thing | null) =>
    new Thing(type, `${type}:${ordinal}`, ordinal, parent);

  function draw(shape: Shape, text: string, thing: Thing, isKey: boolean): unknown {
    if (!shape.nonNull && !isKey && isDrawn(NULL_SHARE, `null ${text}`)) return null;
    if (shape.kind === 'list') {
      const length = hashOf(`length ${text}`) % 4;
      return Array.from({ length }, (_, at) => draw(shape.of, `${text}[${at}]`, thing, false));
    }
    if (shape.kind === 'object') {
      if (shape.types.length === 0) return null;
      const type = drawn(shape.types, `type ${text}`);
      if (!rules.isEntity(type)) return new Thing(type, hashOf(text).toString(36), 0, thing);
      return entity(type, isKey ? thing.ordinal : hashOf(`which ${text}`) % POPULATION, thing);
    }
    if (shape.values) return shape.values.length ? drawn(shape.values, text) : null;
    return isKey ? keyValue(shape.name, thing) : scalarValue(shape.name, text);
  }

  /** Unique among the implementations of any interface. */
  function keyValue(scalar: string, { type, ordinal }: Thing): unknown {
    if (scalar === 'Int' || scalar === 'Float') return typeNames.indexOf(type) * 100 + ordinal;
    return `${type}-${ordinal}`;
  }

  function argumentsKey(type: string, name: string, args: Record<string, unknown>): string {
    if (Object.keys(args).length === 0) return '';
    // An argument that clients cannot give comes from elsewhere (a context), and is told as a requirement.
    const visible = fieldOf(api, type, name) ?? fieldOf(full, type, name);
    const known = new Set(visible?.args.map((argument) => argument.name));
    return canonical(Object.fromEntries(Object.entries(args).filter(([key]) => known.has(key))));
  }

  function field(thing: Thing, name: string, args: Record<string, unknown>, required: unknown): unknown {
    const shape = shapeOf(thing.type, name);
    if (!shape) return null;
    const because = required === null ? '' : ` because ${canonical(required)}`;
    const text = `${seed} ${thing.id}.${name}(${argumentsKey(thing.type, name, args)})${because}`;
    return draw(shape, text, thing, rules.isKeyField(thing.type, name));
  }

  function read(thing: Thing, { selections }: SelectionSetNode): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const selection of selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) continue;
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const on = selection.typeCondition?.name.value;
        if (!on || rules.isOfType(thing.type, on)) Object.assign(result, read(thing, selection.selectionSet));
        continue;
      }
      const { name, selectionSet } = selection;
      if (name.value === '__typename') continue;
      const definition = fieldOf(full, thing.type, name.value);
      const args = definition ? getArgumentValues(definition, selection) : {};
      const value = field(thing, name.value, args, requirements(thing, name.value));
      result[name.value] = selectionSet ? readAll(value, selectionSet) : value;
    }
    return result;
  }

  function readAll(value: unknown, selectionSet: SelectionSetNode): unknown {
    if (Array.isArray(value)) return value.map((item) => readAll(item, selectionSet));
    return value instanceof Thing ? read(value, selectionSet) : null;
  }

  function requirements(thing: Thing, name: string): unknown {
    const { requires, contexts } = rules.requirementsOf(thing.type, name);
    if (!requires && contexts.length === 0) return null;
    const fields = requires ? read(thing, requires) : null;
    const given = contexts.map(({ argument, context, selection }) => {
      let from: Thing | null = thing;
      while (from && !rules.isInContext(from.type, context)) from = from.parent;
      return [argument, from ? Object.values(read(from, selection))[0] : null];
    });
    return { fields, given: Object.fromEntries(given) };
  }

  return {
    rules,
    root: (kind) => new Thing(kind, '', 0, null),
    field,
    requirements,
    find({ name: subgraph }, type, representation) {
      for (const implementation of implementationsOf(subgraph, type).flatMap((one) =>
        rules.objectTypes(one),
      )) {
        for (let ordinal = 0; ordinal < POPULATION; ordinal++) {
          const candidate = entity(implementation, ordinal, null);
          const isMeant = rules
            .keysOf(subgraph, type)
            .some((key) => isWithin(read(candidate, key), representation));
          if (isMeant) return candidate;
        }
      }
      return null;
    },
  };
}

function isWithin(key: Record<string, unknown>, representation: Record<string, unknown>): boolean {
  return Object.entries(key).every(([name, value]) => {
    const given = representation[name];
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return typeof given === 'object' && given !== null && isWithin({ ...value }, { ...given });
    }
    return canonical(value) === canonical(given);
  });
}

function fieldOf(schema: GraphQLSchema, type: string, name: string) {
  const named = schema.getType(type);
  return isObjectType(named) || isInterfaceType(named) ? named.getFields()[name] : undefined;
}

function common(lists: string[][]): string[] {
  const [first = [], ...rest] = lists;
  return [...new Set(first)].filter((name) => rest.every((list) => list.includes(name)));
}

function scalarValue(scalar: string, text: string): unknown {
  const hash = hashOf(text);
  switch (scalar) {
    case 'Int':
      return (hash % 2001) - 1000;
    case 'Float':
      return hash % 3 === 0 ? hash % 100 : (hash % 10_000) / 8;
    case 'Boolean':
      return hash % 2 === 0;
    case 'ID':
      return `id-${hash % 1000}`;
    case 'String':
      return drawn(['', 'plain', 'a "quoted" \\ line\n', 'snow ☃ 𝒳', '\u2028\u0007'], text) + (hash % 1000);
    default:
      return drawn<unknown>([`${scalar} ${hash % 1000}`, hash % 1000, { a: [1, null, 'x'], b: {} }], text);
  }
}
