/**
 * Generates types from schema/: `npm run generate`. Output goes to the owner's `generated/`, is git-ignored and never
 * edited.
 *
 *   schema/conventions.graphql + schema/<x>.graphql ─▶ subgraphs/<x>/src/generated/graphql.ts   resolver types
 *   schema/api.graphql + documents in tests/        ─▶ tests/generated/                         typed documents
 *
 * The object behind a GraphQL type is named in subgraphs/<x>/src/mappers.ts and nowhere else: `export type TaskMapper`
 * is what resolvers of Task receive as their parent, and what a field of type Task resolves to.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { CodegenConfig } from '@graphql-codegen/cli';
import { type SubgraphName, subgraphNames, subgraphSdl } from './schema/sdl.ts';

/** What kit/scalars.ts makes of them. A date may also be answered as the text that a fact carries. */
const scalarsOfSubgraphs = {
  ID: { input: 'string', output: 'string' },
  DateTime: { input: 'Date', output: 'Date | string' },
  DateTimeOrDuration: { input: '@taskflow/kit/scalars#Moment', output: 'never' },
  EmailAddress: 'string',
  /** Federation's own, in arguments of its directives. */
  _FieldSet: 'string',
};

/** What travels as JSON. */
const scalarsOfClients = {
  ID: 'string',
  DateTime: 'string',
  DateTimeOrDuration: 'string',
  EmailAddress: 'string',
};

const sharedOptions = {
  enumsAsTypes: true,
  useTypeImports: true,
  strictScalars: true,
};

const config: CodegenConfig = {
  generates: {
    ...Object.fromEntries(subgraphNames.map((name) => [fileOf(name), resolverTypes(name)])),
    'tests/generated/': {
      schema: 'schema/api.graphql',
      documents: ['tests/**/*.ts', '!tests/generated/**'],
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: { ...sharedOptions, scalars: scalarsOfClients },
    },
  },
  importExtension: '.ts',
  ignoreNoDocuments: true,
  errorsOnly: true,
  hooks: { beforeOneFileWrite: [withResolvedParents, withoutUnusedImport] },
};

export default config;

function fileOf(name: SubgraphName): string {
  return `subgraphs/${name}/src/generated/graphql.ts`;
}

function resolverTypes(name: SubgraphName) {
  return {
    schema: ['schema/conventions.graphql', `schema/${name}.graphql`],
    plugins: ['typescript', 'typescript-resolvers'],
    config: {
      ...sharedOptions,
      federation: true,
      scalars: scalarsOfSubgraphs,
      contextType: '../context.ts#Context',
      mappers: mappersOf(name),
      // A resolver may answer undefined for null: Map.get does. An input holds null or has no such key.
      maybeValue: 'T | null | undefined',
      inputMaybeValue: 'T | null',
      // What a union delivers says which member it is; then no resolver has to guess.
      resolversNonOptionalTypename: { unionMember: true },
    },
  };
}

/** GraphQL type → the type behind it: those of mappers.ts, the kit's connections over them, the kit's user errors. */
function mappersOf(name: SubgraphName): Record<string, string> {
  const named = namesIn(mappersSourceOf(name), /^export (?:type|interface) (\w+)Mapper\b/gm);
  const sdl = subgraphSdl(name);
  const userErrors = ['UserError', ...namesIn(sdl, /^type (\w+) implements UserError\b/gm)];
  const connections = namesIn(sdl, /^type (\w+)Connection\b/gm).filter((node) => named.includes(node));
  return Object.fromEntries([
    ...userErrors.map((type) => [type, '@taskflow/kit/errors#UserErrorPayload']),
    ...connections.map((node) => [`${node}Connection`, `@taskflow/kit/page#Connection<${node}Mapper>`]),
    ...named.map((type) => [type, `../mappers.ts#${type}Mapper`]),
  ]);
}

function namesIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].flatMap(([, name]) => name ?? []);
}

function mappersSourceOf(name: SubgraphName): string {
  const file = new URL(`./subgraphs/${name}/src/mappers.ts`, import.meta.url);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/**
 * A field resolver of a mapped type gets the mapped object: __resolveReference has already turned the reference into
 * it. The plugin types the parent as either of the two, which would make every resolver ask.
 */
function withResolvedParents(_path: string, content: string): string {
  return content.replace(/^( {2}\w+: \w+Mapper) \| FederationReferenceTypes\['\w+'\];$/gm, '$1;');
}

/** While no test has a document, the client preset imports what it does not use, which tsconfig.json refuses. */
function withoutUnusedImport(_path: string, content: string): string {
  return /\btypes\.\w/.test(content) ? content : content.replace(/^import \* as types from .*\n/m, '');
}
