// What the `@cacheControl` directives of a supergraph file allow to keep. They get there with
// `@composeDirective(name: "@cacheControl")` in the subgraph that writes them.
//
// Read as Apollo Server reads them: a root field or an object without a hint may not be kept, a scalar is as its parent, the
// shortest age of all fields counts, and one PRIVATE field makes it private. In one thing stricter: the hint of a type
// counts where one subgraph alone has the type, since a composed file does not say whose hint it is.

import {
  type ConstDirectiveNode,
  type DefinitionNode,
  type FieldDefinitionNode,
  Kind,
  parse,
  type TypeNode,
  valueFromASTUntyped,
} from 'graphql';

export interface Hint {
  /** Seconds. */
  readonly maxAge: number | undefined;
  readonly isPrivate: boolean;
  readonly isInherited: boolean;
}

export interface HintedType {
  readonly isComposite: boolean;
  readonly isAbstract: boolean;
  /** Null: none, or of a type that several subgraphs have. */
  readonly hint: Hint | null;
  readonly fields: ReadonlyMap<string, HintedField>;
  /** Names of the fields of its keys, by subgraph. */
  readonly keysOf: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface HintedField {
  /** The named type of its value. */
  readonly type: string;
  readonly hint: Hint | null;
}

export interface CacheHints {
  readonly queryType: string;
  readonly types: ReadonlyMap<string, HintedType>;
  /** Object types that may stand for an interface or a union. */
  possibleTypes(type: string): readonly string[];
  /** Subgraphs that have something with a hint. */
  readonly subgraphs: ReadonlySet<string>;
}

const NO_HINT: Hint = { maxAge: undefined, isPrivate: false, isInherited: false };

export function readCacheHints(sdl: string): CacheHints {
  const { definitions } = parse(sdl, { noLocation: true });
  const reader = createReader(definitions);
  const types = new Map<string, HintedType>();
  const possible = new Map<string, string[]>();
  for (const definition of definitions) {
    const { kind } = definition;
    if (!('name' in definition) || !definition.name || kind === Kind.DIRECTIVE_DEFINITION) continue;
    const name = definition.name.value;
    types.set(name, reader.typeOf(definition));
    if (kind === Kind.OBJECT_TYPE_DEFINITION)
      for (const one of definition.interfaces ?? []) note(possible, one.name.value, name);
    if (kind === Kind.UNION_TYPE_DEFINITION)
      for (const one of definition.types ?? []) note(possible, name, one.name.value);
  }
  const { queryType, subgraphs } = reader;
  return { queryType, types, subgraphs, possibleTypes: (type) => possible.get(type) ?? [] };
}

function createReader(definitions: readonly DefinitionNode[]) {
  const schema = definitions.find((one) => one.kind === Kind.SCHEMA_DEFINITION);
  const names = new Set(['cacheControl', ...(schema?.directives ?? []).flatMap(namesLinkedBy)]);
  const query = schema?.operationTypes.find(({ operation }) => operation === 'query');
  const graphs = graphsOf(definitions);
  const subgraphs = new Set<string>();

  /** `owners`: who may have written it. */
  function hintIn(directives: readonly ConstDirectiveNode[] = [], owners: readonly string[]): Hint | null {
    const directive = directives.find(({ name }) => names.has(name.value));
    if (!directive) return null;
    for (const owner of owners) subgraphs.add(owner);
    const maxAge = argumentOf(directive, 'maxAge');
    return {
      maxAge: maxAge === undefined ? undefined : Number(maxAge),
      isPrivate: argumentOf(directive, 'scope') === 'PRIVATE',
      isInherited: argumentOf(directive, 'inheritMaxAge') === true,
    };
  }

  const graphsIn = (directives: readonly ConstDirectiveNode[] = [], name: string): string[] =>
    directives
      .filter((directive) => directive.name.value === name)
      .flatMap((directive) => graphs.get(String(argumentOf(directive, 'graph'))) ?? []);

  function typeOf(definition: DefinitionNode): HintedType {
    const { kind } = definition;
    const directives =
      'directives' in definition ? (definition.directives as readonly ConstDirectiveNode[]) : [];
    const owners = [...new Set(graphsIn(directives, 'join__type'))];
    const fields =
      'fields' in definition ? ((definition.fields ?? []) as readonly FieldDefinitionNode[]) : [];
    const hint = hintIn(directives, owners);
    const isAbstract = kind === Kind.INTERFACE_TYPE_DEFINITION || kind === Kind.UNION_TYPE_DEFINITION;
    const fieldOf = (field: FieldDefinitionNode): HintedField => {
      const givers = graphsIn(field.directives, 'join__field');
      return {
        type: namedTypeOf(field.type),
        hint: hintIn(field.directives, givers.length > 0 ? givers : owners),
      };
    };
    return {
      isAbstract,
      isComposite: isAbstract || kind === Kind.OBJECT_TYPE_DEFINITION,
      hint: owners.length > 1 ? hiddenPart(hint) : hint,
      fields: new Map(fields.map((field) => [field.name.value, fieldOf(field)])),
      keysOf: keysIn(directives, graphs),
    };
  }

  return { queryType: query?.type.name.value ?? 'Query', subgraphs, typeOf };
}

/** Names of the subgraphs, by what the file calls them. */
function graphsOf(definitions: readonly DefinitionNode[]): Map<string, string> {
  const graphs = definitions.find(
    (one) => one.kind === Kind.ENUM_TYPE_DEFINITION && one.name.value === 'join__Graph',
  );
  const values = graphs?.kind === Kind.ENUM_TYPE_DEFINITION ? (graphs.values ?? []) : [];
  return new Map(
    values.map(({ name, directives = [] }) => [
      name.value,
      String(directives.map((directive) => argumentOf(directive, 'name'))[0]),
    ]),
  );
}

/** That it is private counts, whoever wrote it. */
function hiddenPart(hint: Hint | null): Hint | null {
  return hint?.isPrivate ? { ...NO_HINT, isPrivate: true } : null;
}

function note(lists: Map<string, string[]>, key: string, value: string): void {
  lists.set(key, [...(lists.get(key) ?? []), value]);
}

/** By whatever address it is linked: the last part but the version names it. */
function namesLinkedBy(directive: ConstDirectiveNode): string[] {
  const url = argumentOf(directive, 'url');
  if (typeof url !== 'string' || !/\/cacheControl(\/v[^/]*)?$/.test(url)) return [];
  const as = argumentOf(directive, 'as');
  const imported = argumentOf(directive, 'import');
  const aliases = (Array.isArray(imported) ? imported : []).flatMap((item) =>
    item?.name === '@cacheControl' && typeof item.as === 'string' ? [item.as.replace(/^@/, '')] : [],
  );
  return [...(typeof as === 'string' ? [as] : []), ...aliases];
}

function keysIn(directives: readonly ConstDirectiveNode[], graphs: ReadonlyMap<string, string>) {
  const keys = new Map<string, Set<string>>();
  for (const join of directives) {
    if (join.name.value !== 'join__type') continue;
    const graph = graphs.get(String(argumentOf(join, 'graph'))) ?? '';
    const key = argumentOf(join, 'key');
    const names = keys.get(graph) ?? new Set<string>();
    // Keys without nested selections: of the others every field needs a hint.
    if (typeof key === 'string' && !key.includes('{'))
      for (const name of key.trim().split(/[\s,]+/)) names.add(name);
    keys.set(graph, names);
  }
  return keys;
}

function argumentOf(node: ConstDirectiveNode, name: string): unknown {
  const value = node.arguments?.find((argument) => argument.name.value === name)?.value;
  return value ? valueFromASTUntyped(value) : undefined;
}

function namedTypeOf(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedTypeOf(type.type);
}
