// A supergraph written for the test: a folder of SDL files, composed when it is loaded.

import { readdirSync, readFileSync } from 'node:fs';
import { composeServices } from '@apollo/composition';
import { Supergraph } from '@apollo/federation-internals';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type DocumentNode, type GraphQLSchema, parse } from 'graphql';

export interface TestSubgraph {
  readonly name: string;
  readonly document: DocumentNode;
  /** Its types as they stand in its SDL, without resolvers. */
  readonly schema: GraphQLSchema;
}

export interface TestSupergraph {
  readonly name: string;
  readonly sdl: string;
  readonly federation: Supergraph;
  readonly subgraphs: readonly TestSubgraph[];
  /** Every type and field, the inaccessible ones too. */
  readonly full: GraphQLSchema;
  /** What a client may ask. */
  readonly api: GraphQLSchema;
}

const FOLDER = new URL('./supergraphs/', import.meta.url);

/** The folders next to this file. */
export function ownSupergraphs(): TestSupergraph[] {
  return readdirSync(FOLDER).map((name) => {
    const folder = new URL(`${name}/`, FOLDER);
    const sources = readdirSync(folder).map((file) => ({
      name: file.replace('.graphql', ''),
      document: parse(readFileSync(new URL(file, folder), 'utf8')),
    }));
    return composed(name, sources);
  });
}

/** Composes; throws with the reasons when the subgraphs do not fit together. */
export function composed(
  name: string,
  sources: readonly { name: string; document: DocumentNode }[],
): TestSupergraph {
  const { supergraphSdl, errors } = composeServices(
    sources.map((source) => ({
      name: source.name,
      url: `memory://${source.name}`,
      typeDefs: source.document,
    })),
  );
  if (errors) throw new AggregateError(errors, `${name}: ${errors.map(({ message }) => message).join('\n')}`);
  return fromSdl(name, supergraphSdl, sources);
}

function fromSdl(
  name: string,
  sdl: string,
  sources: readonly { name: string; document: DocumentNode }[],
): TestSupergraph {
  const federation = Supergraph.build(sdl);
  return {
    name,
    sdl,
    federation,
    subgraphs: sources.map((source) => ({
      ...source,
      schema: buildSubgraphSchema(source.document),
    })),
    full: federation.schema.toGraphQLJSSchema(),
    api: federation.apiSchema().toGraphQLJSSchema(),
  };
}
