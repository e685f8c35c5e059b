// What the directives @authenticated, @requiresScopes and @policy of a supergraph file ask of a caller.
//
// The gateway refuses such a file, because it would not enforce them. They are read from the SDL here, by whatever names the
// file gives them, and taken from the gateway's sight; access-restriction.ts applies them to operations. TaskFlow's own
// subgraphs decide for themselves and use none of these: this is for the supergraphs of others.
//
//   a field needs     what it bears itself, what its parent type and its result type bear,
//                     what the fields need that it is computed from (@requires, @fromContext),
//                     and for an abstract parent what it needs on each type that may stand there
//
// Everything that a field needs is needed together; within one directive `[[a, b], [c]]` means (a and b) or c.

import {
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  Kind,
  type NamedTypeNode,
  parse,
  print,
  type SelectionSetNode,
  type TypeNode,
  type ValueNode,
  valueFromASTUntyped,
  visit,
} from 'graphql';

/** One of the inner lists has to be held in full. An empty outer list is held by nobody. */
export type AnyOf = readonly (readonly string[])[];

export interface Requirement {
  readonly isAuthenticated: boolean;
  readonly scopes: readonly AnyOf[];
  readonly policies: readonly AnyOf[];
}

export interface AccessRules {
  /** What a field of an object type or interface needs by itself, its parent type's part not included; null: nothing. */
  ofField(type: string, field: string): Requirement | null;
  /** What a type needs, wherever it is a parent or a result. */
  ofType(type: string): Requirement | null;
}

type Kindred = 'authenticated' | 'requiresScopes' | 'policy';

const SPECS: Record<string, Kindred> = {
  'https://specs.apollo.dev/authenticated': 'authenticated',
  'https://specs.apollo.dev/requiresScopes': 'requiresScopes',
  'https://specs.apollo.dev/policy': 'policy',
};

/** The SDL as the gateway accepts it, and what it leaves to us; null rules when there is nothing to enforce. */
export function readAccessDirectives(sdl: string): { sdl: string; rules: AccessRules | null } {
  if (!Object.keys(SPECS).some((spec) => sdl.includes(spec))) return { sdl, rules: null };
  const document = parse(sdl, { noLocation: true });
  const names = directiveNames(document);
  if (names.size === 0) return { sdl, rules: null };
  const accepted = visit(document, {
    Directive: (node) =>
      specOf(node)
        ? { ...node, arguments: node.arguments?.filter(({ name }) => name.value !== 'for') }
        : undefined,
  });
  return { sdl: print(accepted), rules: rulesOf(document, names) };
}

function argumentOf(node: ConstDirectiveNode, name: string): unknown {
  const value: ValueNode | undefined = node.arguments?.find(
    (argument) => argument.name.value === name,
  )?.value;
  return value ? valueFromASTUntyped(value) : undefined;
}

/** Known by its address: the directive that links may have another name, too. */
function specOf(node: unknown): Kindred | null {
  const url = argumentOf(node as ConstDirectiveNode, 'url');
  if (typeof url !== 'string') return null;
  return SPECS[url.slice(0, url.lastIndexOf('/'))] ?? null;
}

/** All names that the file may use for them: the spec's own, that of `@link(as:)`, those of `import` and its aliases. */
function directiveNames(document: DocumentNode): Map<string, Kindred> {
  const names = new Map<string, Kindred>();
  visit(document, {
    Directive(node) {
      const kindred = specOf(node);
      if (!kindred) return;
      const link = node as ConstDirectiveNode;
      const as = argumentOf(link, 'as');
      names.set(typeof as === 'string' ? as : kindred, kindred);
      const imported = argumentOf(link, 'import');
      for (const item of Array.isArray(imported) ? imported : []) {
        const { name, as: alias } = typeof item === 'string' ? { name: item } : item;
        if (name === `@${kindred}`) names.set(String(alias ?? name).replace(/^@/, ''), kindred);
      }
    },
  });
  return names;
}

const NOTHING: Requirement = { isAuthenticated: false, scopes: [], policies: [] };
const isNothing = (one: Requirement) => !one.isAuthenticated && one.scopes.length + one.policies.length === 0;

/** Needed together. Null: nothing is. */
export function allOf(parts: readonly (Requirement | null)[]): Requirement | null {
  const needed = parts.filter((part) => part !== null);
  if (needed.length < 2) return needed[0] ?? null;
  return {
    isAuthenticated: needed.some((part) => part.isAuthenticated),
    scopes: needed.flatMap((part) => part.scopes),
    policies: needed.flatMap((part) => part.policies),
  };
}

interface TypeInFile {
  readonly isAbstract: boolean;
  readonly own: Requirement | null;
  readonly fields: ReadonlyMap<string, FieldDefinitionNode>;
  readonly interfaces: readonly string[];
  readonly contexts: readonly unknown[];
}

function rulesOf(document: DocumentNode, names: ReadonlyMap<string, Kindred>): AccessRules {
  const types = typesOf(document, names);
  const known = new Map<string, Requirement | null>();

  function ofField(type: string, field: string): Requirement | null {
    const coordinate = `${type}.${field}`;
    const found = known.get(coordinate);
    if (found !== undefined) return found;
    known.set(coordinate, null); // ends a circle of @requires
    const definition = types.get(type)?.fields.get(field);
    const needed = definition ? allOf(partsOf(type, definition)) : null;
    known.set(coordinate, needed);
    return needed;
  }

  function partsOf(type: string, definition: FieldDefinitionNode): (Requirement | null)[] {
    const parts = [requirementIn(definition.directives, names)];
    for (const directive of definition.directives ?? []) {
      if (directive.name.value !== 'join__field') continue;
      const requires = argumentOf(directive, 'requires');
      if (typeof requires === 'string') parts.push(ofSelection([type], requires));
      for (const { context, selection } of contextArguments(directive)) {
        const holders = [...types]
          .filter(([, holder]) => holder.contexts.includes(context))
          .map(([name]) => name);
        parts.push(ofSelection(holders, selection));
      }
      // An @interfaceObject gives the field: its directives stand on the interface.
      if (argumentOf(directive, 'graph') === undefined) {
        const { interfaces = [] } = types.get(type) ?? {};
        parts.push(...interfaces.map((name) => ofField(name, definition.name.value)));
      }
    }
    return parts;
  }

  function ofSelection(holders: readonly string[], text: string): Requirement | null {
    const braced = text.trim().startsWith('{') ? text : `{${text}}`;
    const [definition] = parse(braced, { noLocation: true }).definitions;
    if (definition?.kind !== Kind.OPERATION_DEFINITION) return null;
    return allOf(holders.flatMap((type) => inSelection(type, definition.selectionSet)));
  }

  function inSelection(type: string, { selections }: SelectionSetNode): (Requirement | null)[] {
    return selections.flatMap((selection) => {
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        return inSelection(selection.typeCondition?.name.value ?? type, selection.selectionSet);
      }
      if (selection.kind !== Kind.FIELD) return [];
      const name = selection.name.value;
      const definition = types.get(type)?.fields.get(name);
      const result = definition ? namedTypeOf(definition.type) : '';
      const inner = selection.selectionSet ? inSelection(result, selection.selectionSet) : [];
      return [ofType(type), ofField(type, name), ofType(result), ...inner, ...onImplementers(type, name)];
    });
  }

  function onImplementers(type: string, field: string): (Requirement | null)[] {
    if (!types.get(type)?.isAbstract) return [];
    return [...types]
      .filter(([, { interfaces }]) => interfaces.includes(type))
      .flatMap(([name]) => [ofType(name), ofField(name, field)]);
  }

  const ofType = (type: string) => types.get(type)?.own ?? null;
  return { ofField, ofType };
}

function typesOf(document: DocumentNode, names: ReadonlyMap<string, Kindred>): Map<string, TypeInFile> {
  const types = new Map<string, TypeInFile>();
  for (const definition of document.definitions) {
    if (!('name' in definition) || !definition.name || definition.kind === Kind.DIRECTIVE_DEFINITION)
      continue;
    const directives = (definition.directives ?? []) as readonly ConstDirectiveNode[];
    const fields =
      'fields' in definition ? ((definition.fields ?? []) as readonly FieldDefinitionNode[]) : [];
    const interfaces = 'interfaces' in definition ? (definition.interfaces as readonly NamedTypeNode[]) : [];
    types.set(definition.name.value, {
      isAbstract: definition.kind === Kind.INTERFACE_TYPE_DEFINITION,
      own: requirementIn(directives, names),
      fields: new Map(fields.map((field) => [field.name.value, field])),
      interfaces: interfaces.map(({ name }) => name.value),
      contexts: directives
        .map((directive) => argumentOf(directive, 'name'))
        .filter((name) => name !== undefined),
    });
  }
  return types;
}

function requirementIn(
  directives: readonly ConstDirectiveNode[] = [],
  names: ReadonlyMap<string, Kindred>,
): Requirement | null {
  let { isAuthenticated, scopes, policies } = NOTHING;
  for (const directive of directives) {
    const kindred = names.get(directive.name.value);
    if (kindred === 'authenticated') isAuthenticated = true;
    if (kindred === 'requiresScopes') scopes = [...scopes, anyOf(argumentOf(directive, 'scopes'))];
    if (kindred === 'policy') policies = [...policies, anyOf(argumentOf(directive, 'policies'))];
  }
  const found = { isAuthenticated, scopes, policies };
  return isNothing(found) ? null : found;
}

/** A list as GraphQL coerces it. What is no list of lists of names is held by nobody. */
function anyOf(value: unknown): AnyOf {
  const outer = Array.isArray(value) ? value : value == null ? [] : [value];
  return outer.map((inner) => (Array.isArray(inner) ? inner : [inner]).map(String));
}

function contextArguments(directive: ConstDirectiveNode): { context: unknown; selection: string }[] {
  const given = argumentOf(directive, 'contextArguments');
  const list = Array.isArray(given) ? given : [];
  return list.map(({ context, selection }) => ({ context, selection: String(selection) }));
}

function namedTypeOf(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedTypeOf(type.type);
}
