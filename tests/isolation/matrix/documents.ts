/** One document for each operation: all of its arguments as variables, and every field that can be selected without one. */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isInputObjectType,
  isLeafType,
  isListType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';

/** Objects below the root field. Deeper ones are the same types again, reached by another way. */
const DEPTH = 4;

export interface Operation {
  /** `Query.task` */
  readonly key: string;
  readonly kind: 'Query' | 'Mutation' | 'Subscription';
  readonly name: string;
  readonly document: string;
  /** The same, with no more of an entity than its id: what a reference alone reveals. */
  readonly thin: string;
  /** Where an id stands in the arguments, with the key of its rule: `input.teamIds` and `ProjectCreateInput.teamIds`. */
  readonly idPaths: readonly IdPath[];
}

export interface IdPath {
  readonly path: readonly string[];
  readonly rule: string;
  readonly isList: boolean;
}

export function operationOf(schema: GraphQLSchema, key: string): Operation {
  const [kind, name] = key.split('.') as [Operation['kind'], string];
  const root = schema.getType(kind) as GraphQLObjectType;
  const field = root.getFields()[name];
  if (!field) throw new Error(`${key} is not in the schema`);
  const variables = field.args.map((arg) => `$${arg.name}: ${arg.type}`).join(', ');
  const passed = field.args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const documentOf = (at: At) =>
    `${kind.toLowerCase()} ${name}${variables && `(${variables})`} ` +
    `{ ${name}${passed && `(${passed})`}${selectionOf(schema, getNamedType(field.type), at)} }`;
  return {
    ...{ key, kind, name },
    document: documentOf({ depth: DEPTH, path: [], entities: DEPTH }),
    thin: documentOf({ depth: DEPTH, path: [], entities: 1 }),
    idPaths: field.args.flatMap((arg) => idPathsOf(arg, key, [arg.name])),
  };
}

function idPathsOf(
  { name, type }: Pick<GraphQLArgument, 'name' | 'type'>,
  owner: string,
  path: readonly string[],
  within: readonly string[] = [],
): IdPath[] {
  const named = getNamedType(type);
  if (named.name === 'ID') return [{ path, rule: `${owner}.${name}`, isList: isList(type) }];
  // Lists of inputs (`and`, `or`) hold the same inputs again.
  if (!isInputObjectType(named) || within.includes(named.name) || isList(type)) return [];
  return Object.values(named.getFields()).flatMap((field) =>
    idPathsOf(field, named.name, [...path, field.name], [...within, named.name]),
  );
}

const isList = (type: GraphQLInputType): boolean => isListType(getNullableType(type));

interface At {
  depth: number;
  /** Entities below this many others are not opened. */
  entities: number;
  /** Entities on the way here: they are not opened again. */
  path: readonly string[];
}

function selectionOf(schema: GraphQLSchema, type: GraphQLNamedType, at: At): string {
  if (isLeafType(type)) return '';
  if (isAbstractType(type)) {
    const members = schema.getPossibleTypes(type).map((member) => {
      const fields = fieldsOf(schema, member, at);
      // Members may have fields of one name and different types.
      return `... on ${member.name} { ${fields.map((field) => `${member.name}__${field.name}: ${field.text}`).join(' ')} }`;
    });
    return ` { __typename ${members.join(' ')} }`;
  }
  if (!isObjectType(type)) return '';
  const texts = fieldsOf(schema, type, at).map(({ text }) => text);
  return ` { __typename ${texts.join(' ')} }`;
}

function fieldsOf(schema: GraphQLSchema, type: GraphQLObjectType, at: At): { name: string; text: string }[] {
  const open = Object.values(type.getFields()).filter(({ args }) => !args.some(isRequiredArgument));
  const isShut = at.depth === 0 || at.path.includes(type.name) || (isEntity(type) && at.entities === 0);
  return open
    .filter((field) => (isShut ? field.name === 'id' : true))
    .map((field) => ({ name: field.name, text: fieldText(schema, type, field, at) }));
}

function fieldText(
  schema: GraphQLSchema,
  owner: GraphQLObjectType,
  { name, type, args }: GraphQLField<unknown, unknown>,
  at: At,
): string {
  // A switch makes an answer wider, such as by those who have left.
  const switches = args.filter((arg) => String(arg.type) === 'Boolean').map((arg) => `${arg.name}: true`);
  const passed = switches.length > 0 ? `(${switches.join(', ')})` : '';
  // What an edge leads to is opened in `nodes`, beside it.
  const depth = owner.name.endsWith('Edge') ? 0 : at.depth - 1;
  const entities = at.entities - (isEntity(owner) ? 1 : 0);
  const path = [...at.path, owner.name];
  return `${name}${passed}${selectionOf(schema, getNamedType(type), { depth, entities, path })}`;
}

const isEntity = (type: GraphQLObjectType): boolean => 'id' in type.getFields();

/** `Task__title`, which a member of a union is asked for, as `title`. */
export const fieldOfResponseKey = (key: string): string => key.split('__').at(-1) || key;
