// From the merged answers of the subgraphs to the text of `data`, in one pass: selected, checked and serialised.
//
//   compiled:  selection of a type ─▶ ObjectWriter { one FieldWriter per response key }     lazily, per runtime type
//   run:       object ─▶ text | null        null: the object must not be there, and whoever holds it writes null
//
// Null propagation is the specification's: a null where none may be is a fault with its path, told once at the place where
// it is found, and takes the nearest nullable parent with it. The texts are graphql-js's.

import {
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLOutputType,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { type LeafWriter, leafWriterOf } from './leaves.ts';
import { collectFields, type Selecting } from './selection.ts';
import { isInherited, isObject, type JsonObject, ownValue } from './values.ts';

/** Where the pass is, and whom it tells what is wrong there. */
export interface WritingContext {
  /** Response keys and list indexes above the value in hand; entries from its depth on are stale. */
  readonly path: (string | number)[];
  /** A fault at `path[0 … depth)`; `holder` is the object that it was found in. */
  fault(message: string, depth: number, holder: JsonObject): void;
  readonly faults: readonly unknown[];
  /** Values that may stand at several places; null: none. */
  readonly shared: ReadonlySet<object> | null;
  /** What was written of them, by field. */
  readonly texts: Map<FieldWriter, Map<object, string>>;
}

/** JSON text of a value that is not null; null when there may be none. */
type Write = (value: unknown, context: WritingContext, depth: number, holder: JsonObject) => string | null;

export type ObjectWriter = (object: JsonObject, context: WritingContext, depth: number) => string | null;

export interface FieldWriter {
  readonly key: string;
  /** Everything before the value: comma, key, and constants in front of it. */
  prefix: string;
  readonly isRequired: boolean;
  readonly isOwnChecked: boolean;
  readonly isComposite: boolean;
  /** `Type.field`, for messages. */
  readonly coordinate: string;
  readonly write: Write;
}

const TYPENAME = '__typename';

export function objectWriter(
  selecting: Selecting,
  type: GraphQLCompositeType,
  selectionSets: Parameters<typeof collectFields>[2],
): ObjectWriter {
  const fields: FieldWriter[] = [];
  let constant = '{';
  let isFirst = true;
  const start = (key: string) => {
    const comma = isFirst ? '' : ',';
    isFirst = false;
    return `${comma}${JSON.stringify(key)}:`;
  };
  for (const [key, nodes] of collectFields(selecting, type, selectionSets)) {
    const name = (nodes[0] as FieldNode).name.value;
    if (name === TYPENAME) {
      if (!isObjectType(type)) return unknownType(type);
      constant += start(key) + JSON.stringify(type.name);
      continue;
    }
    const field = fieldWriter(selecting, type, key, nodes);
    if (!field) continue;
    field.prefix = constant + start(key);
    constant = '';
    fields.push(field);
  }
  const ending = `${constant}}`;
  return (object, context, depth) => {
    const { path } = context;
    let text = '';
    for (let at = 0; at < fields.length; at++) {
      const field = fields[at] as FieldWriter;
      const { key } = field;
      path[depth] = key;
      const value = field.isOwnChecked ? ownValue(object, key) : object[key];
      let written: string | null = null;
      if (value === null || value === undefined) {
        if (field.isRequired) {
          context.fault(nullFault(field.coordinate), depth + 1, object);
          return null;
        }
      } else {
        written =
          context.shared !== null && field.isComposite && context.shared.has(value as object)
            ? writeShared(field, value as object, context, depth + 1, object)
            : field.write(value, context, depth + 1, object);
        if (written === null && field.isRequired) return null;
      }
      text += field.prefix + (written ?? 'null');
    }
    return text + ending;
  };
}

/** Written once for all its places; what is faulty is written at each, for the faults have paths. */
function writeShared(
  field: FieldWriter,
  value: object,
  context: WritingContext,
  depth: number,
  holder: JsonObject,
): string | null {
  const texts = context.texts.get(field) ?? new Map<object, string>();
  const known = texts.get(value);
  if (known !== undefined) return known;
  const faultsBefore = context.faults.length;
  const text = field.write(value, context, depth, holder);
  if (text !== null && context.faults.length === faultsBefore) {
    texts.set(value, text);
    context.texts.set(field, texts);
  }
  return text;
}

const nullFault = (coordinate: string) => `Cannot return null for non-nullable field ${coordinate}.`;

/** Asked for the name of a type that is not known to be one: an interface that a subgraph knows no implementations of. */
function unknownType(type: GraphQLCompositeType): ObjectWriter {
  return (object, context, depth) => {
    context.fault(`Cannot tell which object type of ${type.name} this is.`, depth, object);
    return null;
  };
}

function fieldWriter(
  selecting: Selecting,
  type: GraphQLCompositeType,
  key: string,
  nodes: readonly FieldNode[],
): FieldWriter | null {
  const name = (nodes[0] as FieldNode).name.value;
  const base = {
    ...{ key, prefix: '', isComposite: false },
    ...{ isOwnChecked: isInherited(key), coordinate: `${type.name}.${name}` },
  };
  if (name === '__schema' || name === '__type') {
    // Its text has been put into the data, as if a subgraph had answered it.
    return { ...base, isRequired: false, write: (text) => text as string };
  }
  const definition = fieldOf(type, name);
  if (!definition) return null;
  const isRequired = isNonNullType(definition.type);
  const isComposite = isCompositeType(getNamedType(definition.type));
  const write = writerOf(selecting, definition.type, nodes, base.coordinate);
  return { ...base, isComposite, isRequired, write };
}

function fieldOf(type: GraphQLCompositeType, name: string): GraphQLField<unknown, unknown> | undefined {
  return 'getFields' in type ? type.getFields()[name] : undefined;
}

function writerOf(
  selecting: Selecting,
  declared: GraphQLOutputType,
  nodes: readonly FieldNode[],
  coordinate: string,
): Write {
  const type = isNonNullType(declared) ? declared.ofType : declared;
  if (isListType(type)) return listWriter(selecting, type.ofType, nodes, coordinate);
  if (isLeafType(type)) return checkedLeaf(leafWriterOf(type), coordinate);
  return isAbstractType(type)
    ? abstractWriter(selecting, type, nodes, coordinate)
    : concreteWriter(selecting, type as GraphQLCompositeType, nodes, coordinate);
}

const invalidFault = (coordinate: string) => `Invalid value found for field ${coordinate}.`;

function checkedLeaf(write: LeafWriter, coordinate: string): Write {
  return (value, context, depth, holder) => {
    const text = write(value);
    if (text === null) context.fault(invalidFault(coordinate), depth, holder);
    return text;
  };
}

function listWriter(
  selecting: Selecting,
  item: GraphQLOutputType,
  nodes: readonly FieldNode[],
  coordinate: string,
): Write {
  const isRequired = isNonNullType(item);
  const write = writerOf(selecting, item, nodes, coordinate);
  return (list, context, depth, holder) => {
    if (!Array.isArray(list)) {
      context.fault(invalidFault(coordinate), depth, holder);
      return null;
    }
    let text = '';
    for (let at = 0; at < list.length; at++) {
      const value = list[at];
      context.path[depth] = at;
      let written: string | null = null;
      if (value === null || value === undefined) {
        if (isRequired) {
          context.fault(nullFault(coordinate), depth + 1, holder);
          return null;
        }
      } else {
        written = write(value, context, depth + 1, holder);
        if (written === null && isRequired) return null;
      }
      text += at === 0 ? (written ?? 'null') : `,${written ?? 'null'}`;
    }
    return `[${text}]`;
  };
}

function concreteWriter(
  selecting: Selecting,
  type: GraphQLCompositeType,
  nodes: readonly FieldNode[],
  coordinate: string,
): Write {
  const write = objectWriter(selecting, type, selectionSetsOf(nodes));
  return (value, context, depth, holder) => {
    if (isObject(value)) return write(value, context, depth);
    context.fault(invalidFault(coordinate), depth, holder);
    return null;
  };
}

/** The runtime type is what `__typename` says, and must be one that clients may see. */
function abstractWriter(
  selecting: Selecting,
  declared: GraphQLCompositeType,
  nodes: readonly FieldNode[],
  coordinate: string,
): Write {
  const selectionSets = selectionSetsOf(nodes);
  const byName = new Map<string, ObjectWriter>();
  const writerFor = (name: string): ObjectWriter | null => {
    const type = selecting.schema.getType(name);
    if (!isCompositeType(type)) return null;
    const write = objectWriter(selecting, type, selectionSets);
    byName.set(name, write);
    return write;
  };
  return (value, context, depth, holder) => {
    if (!isObject(value)) {
      context.fault(invalidFault(coordinate), depth, holder);
      return null;
    }
    const name = value[TYPENAME];
    const known = typeof name === 'string' ? name : declared.name;
    const write = byName.get(known) ?? writerFor(known);
    if (write) return write(value, context, depth);
    context.fault(`Invalid __typename found for object at field ${coordinate}.`, depth, holder);
    return null;
  };
}

function selectionSetsOf(nodes: readonly FieldNode[]) {
  return nodes.flatMap(({ selectionSet }) => (selectionSet ? [selectionSet] : []));
}
