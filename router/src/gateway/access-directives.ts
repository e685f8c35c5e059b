// Supergraphs with @authenticated, @requiresScopes or @policy.
//
// The gateway refuses such a file, because it would not enforce them. Here they are read from the SDL and enforced in
// front of the plan, failing closed: nobody has scopes or policies, and only a caller with a token is authenticated. TaskFlow's
// own subgraphs decide for themselves and use none of these; this is for the supergraphs of others.

import {
  type DirectiveNode,
  type DocumentNode,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  Kind,
  parse,
  print,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';

export type Requirement = 'AUTHENTICATED' | 'MORE';

export interface AccessRules {
  /** The first selected coordinate that the caller may not ask, or null. Looks at the whole document. */
  refusedField(
    schema: GraphQLSchema,
    document: DocumentNode,
    isAuthenticated: boolean,
  ): { coordinate: string; requirement: Requirement } | null;
}

const SPECS: Record<string, Requirement> = {
  'https://specs.apollo.dev/authenticated': 'AUTHENTICATED',
  'https://specs.apollo.dev/requiresScopes': 'MORE',
  'https://specs.apollo.dev/policy': 'MORE',
};

/** The SDL as the gateway accepts it, and what it leaves to us; null rules when there is nothing to enforce. */
export function readAccessDirectives(sdl: string): { sdl: string; rules: AccessRules | null } {
  if (!Object.keys(SPECS).some((spec) => sdl.includes(spec))) return { sdl, rules: null };
  const document = parse(sdl, { noLocation: true });
  const requirements = directiveNames(document);
  if (requirements.size === 0) return { sdl, rules: null };
  const accepted = visit(document, {
    Directive: (node) =>
      isLinkTo(node)
        ? { ...node, arguments: node.arguments?.filter(({ name }) => name.value !== 'for') }
        : undefined,
  });
  return { sdl: print(accepted), rules: rulesOf(document, requirements) };
}

function isLinkTo(node: DirectiveNode): boolean {
  return node.name.value === 'link' && specOf(node) !== null;
}

function specOf(node: DirectiveNode): string | null {
  const url = stringArgument(node, 'url') ?? '';
  const spec = url.slice(0, url.lastIndexOf('/'));
  return spec in SPECS ? spec : null;
}

function stringArgument(node: DirectiveNode, name: string): string | null {
  const value = node.arguments?.find((argument) => argument.name.value === name)?.value;
  return value?.kind === Kind.STRING ? value.value : null;
}

/** By the names that the file gives them: `@link(as:)` renames. */
function directiveNames(document: DocumentNode): Map<string, Requirement> {
  const names = new Map<string, Requirement>();
  visit(document, {
    Directive(node) {
      const spec = node.name.value === 'link' ? specOf(node) : null;
      const requirement = spec ? SPECS[spec] : undefined;
      if (!spec || !requirement) return;
      const name = stringArgument(node, 'as') ?? spec.slice(spec.lastIndexOf('/') + 1);
      names.set(name, requirement);
    },
  });
  return names;
}

function rulesOf(document: DocumentNode, names: ReadonlyMap<string, Requirement>): AccessRules {
  const protectedBy = new Map<string, Requirement>();
  const note = (coordinate: string, directives: readonly DirectiveNode[] = []) => {
    for (const directive of directives) {
      const requirement = names.get(directive.name.value);
      if (requirement && protectedBy.get(coordinate) !== 'MORE') protectedBy.set(coordinate, requirement);
    }
  };
  for (const definition of document.definitions) {
    if (!('name' in definition) || !definition.name || !('directives' in definition)) continue;
    const type = definition.name.value;
    note(type, definition.directives as readonly DirectiveNode[]);
    if (!('fields' in definition)) continue;
    for (const field of definition.fields ?? []) note(`${type}.${field.name.value}`, field.directives);
  }
  return {
    refusedField(schema, asked, isAuthenticated) {
      const isRefused = (coordinate: string) => {
        const requirement = protectedBy.get(coordinate);
        return requirement === 'MORE' || (requirement === 'AUTHENTICATED' && !isAuthenticated);
      };
      for (const coordinate of coordinatesIn(schema, asked)) {
        const requirement = isRefused(coordinate) ? protectedBy.get(coordinate) : undefined;
        if (requirement) return { coordinate, requirement };
      }
      return null;
    },
  };
}

/** Types and fields that a document selects; a field of an abstract type stands for that of each possible type. */
function coordinatesIn(schema: GraphQLSchema, document: DocumentNode): Set<string> {
  const coordinates = new Set<string>();
  const types = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(types, {
      Field({ name }) {
        const parent = types.getParentType();
        if (!parent) return;
        const holders = isAbstractType(parent) ? [parent, ...schema.getPossibleTypes(parent)] : [parent];
        for (const holder of holders) coordinates.add(holder.name).add(`${holder.name}.${name.value}`);
        const result = getNamedType(types.getType());
        if (result) coordinates.add(result.name);
      },
    }),
  );
  return coordinates;
}
