// What the `@cacheControl` directives of a supergraph file allow to keep. They get there with
// `@composeDirective(name: "@cacheControl")` in the subgraph that writes them.
//
// Read as Apollo Server reads them: a root field or an object without a hint may not be kept, a scalar is as its parent, the
// shortest age of all fields counts, and one PRIVATE field makes it private. In one thing stricter: the hint of a type
// counts where one subgraph alone has the type, since a composed file does not say whose hint it is.

import {
  type ConstDirectiveNode,
  type FieldDefinitionNode,
  Kind,
  type NamedTypeNode,
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
  /** No hint anywhere. */
  readonly isEmpty: boolean;
}

const NO_HINT: Hint = { maxAge: undefined, isPrivate: false, isInherited: false };

export function readCacheHints(sdl: string): CacheHints {
  const { definitions } = parse(sdl, { noLocation: true });
  const names = new Set(['cacheControl']);
  const graphs = new Map<string, string>();
  let queryType = 'Query';
  for (const definition of definitions) {
    if (definition.kind === Kind.SCHEMA_DEFINITION) {
      for (const directive of definition.directives ?? [])
        for (const name of namesLinkedBy(directive)) names.add(name);
      const query = definition.operationTypes.find(({ operation }) => operation === 'query');
      if (query) queryType = query.type.name.value;
    }
    if (definition.kind === Kind.ENUM_TYPE_DEFINITION && definition.name.value === 'join__Graph') {
      for (const { name, directives = [] } of definition.values ?? []) {
        const [graph] = directives.map((directive) => argumentOf(directive, 'name'));
        graphs.set(name.value, String(graph));
      }
    }
  }
  const types = new Map<string, HintedType>();
  const possible = new Map<string, string[]>();
  let isEmpty = true;
  const hintIn = (directives: readonly ConstDirectiveNode[] = []): Hint | null => {
    const directive = directives.find(({ name }) => names.has(name.value));
    if (!directive) return null;
    isEmpty = false;
    const maxAge = argumentOf(directive, 'maxAge');
    return {
      maxAge: typeof maxAge === 'number' || typeof maxAge === 'string' ? Number(maxAge) : undefined,
      isPrivate: argumentOf(directive, 'scope') === 'PRIVATE',
      isInherited: argumentOf(directive, 'inheritMaxAge') === true,
    };
  };
  for (const definition of definitions) {
    if (!('name' in definition) || !definition.name || definition.kind === Kind.DIRECTIVE_DEFINITION)
      continue;
    const { kind } = definition;
    const name = definition.name.value;
    const directives = (definition.directives ?? []) as readonly ConstDirectiveNode[];
    const joins = directives.filter((directive) => directive.name.value === 'join__type');
    const owners = new Set(joins.map((join) => argumentOf(join, 'graph')));
    const fields =
      'fields' in definition ? ((definition.fields ?? []) as readonly FieldDefinitionNode[]) : [];
    const hint = hintIn(directives);
    const isAbstract = kind === Kind.INTERFACE_TYPE_DEFINITION || kind === Kind.UNION_TYPE_DEFINITION;
    types.set(name, {
      isAbstract,
      isComposite: isAbstract || kind === Kind.OBJECT_TYPE_DEFINITION,
      hint: owners.size > 1 ? hiddenPart(hint) : hint,
      fields: new Map(
        fields.map((field) => [
          field.name.value,
          { type: namedTypeOf(field.type), hint: hintIn(field.directives) },
        ]),
      ),
      keysOf: keysIn(joins, graphs),
    });
    const above = [
      ...('interfaces' in definition ? (definition.interfaces as readonly NamedTypeNode[]) : []).map(
        (one) => one.name.value,
      ),
    ];
    if (kind === Kind.OBJECT_TYPE_DEFINITION) for (const one of above) note(possible, one, name);
    if (kind === Kind.UNION_TYPE_DEFINITION)
      for (const one of definition.types ?? []) note(possible, name, one.name.value);
  }
  return { queryType, types, isEmpty, possibleTypes: (type) => possible.get(type) ?? [] };
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

function keysIn(joins: readonly ConstDirectiveNode[], graphs: ReadonlyMap<string, string>) {
  const keys = new Map<string, Set<string>>();
  for (const join of joins) {
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
