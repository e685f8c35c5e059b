/**
 * Composition: four SDL files -> supergraph.graphql (the router boots from it) and api.graphql (what clients see).
 * Both are generated and committed, so that a review shows what a change means for clients.
 *
 *   node schema/compose.ts            writes the two files
 *   node schema/compose.ts --check    fails when they are not what the SDL files compose to
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { composeServices } from '@apollo/composition';
import { printSchema, Supergraph } from '@apollo/federation-internals';
import { type DocumentNode, GraphQLError, parse } from 'graphql';
import { requiresWithArguments, undescribed, unevenShares, unsizedLists } from './lint.ts';
import { type ReadSdl, readSdlFile, type SubgraphName, subgraphDocument, subgraphs } from './sdl.ts';

export interface ComposedSupergraph {
  /** The text of supergraph.graphql. */
  supergraph: string;
  /** The text of api.graphql. */
  api: string;
}

/** Why the SDL files are no supergraph: every problem with its place, one per line. */
export class CompositionError extends Error {
  override readonly name = 'CompositionError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The SDL files do not compose:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** The two generated files, by the name of what they hold. */
export const composedFiles: Readonly<Record<keyof ComposedSupergraph, URL>> = {
  supergraph: new URL('./supergraph.graphql', import.meta.url),
  api: new URL('./api.graphql', import.meta.url),
};

const COMMAND = 'npm run compose';
const NOTE = `# Generated from the SDL files of the subgraphs by \`${COMMAND}\`. Do not edit; do commit.\n\n`;

/** Composes and lints. Throws CompositionError. The answer depends on nothing but the SDL. */
export function composeSupergraph(readSdl: ReadSdl = readSdlFile): ComposedSupergraph {
  const documents = subgraphs.map(({ name, url }) => ({ name, url, typeDefs: documentOf(name, readSdl) }));
  refuse(documents.flatMap(({ name, typeDefs }) => requiresWithArguments(name, typeDefs)));

  const composed = composeServices(documents);
  if (composed.errors) throw new CompositionError(composed.errors.map(placed));

  refuse(unevenShares(documents));
  const api = printSchema(Supergraph.build(composed.supergraphSdl).apiSchema());
  refuse(undescribed(parse(api)));
  refuse(documents.flatMap(({ name, typeDefs }) => unsizedLists(name, typeDefs)));
  return {
    supergraph: `${NOTE}${composed.supergraphSdl.trimEnd()}\n`,
    api: `${NOTE}${api.trimEnd()}\n`,
  };
}

/** The names of the generated files whose content on disk differs from `composed`. */
export function staleFiles(composed: ComposedSupergraph): string[] {
  return kinds.filter((kind) => readIfThere(composedFiles[kind]) !== composed[kind]).map(nameOf);
}

/** Writes what differs, each file in one step, so that a router that watches never reads half of one. */
export function writeComposed(composed: ComposedSupergraph): string[] {
  const stale = kinds.filter((kind) => readIfThere(composedFiles[kind]) !== composed[kind]);
  for (const kind of stale) {
    const path = fileURLToPath(composedFiles[kind]);
    writeFileSync(`${path}.${process.pid}.new`, composed[kind]);
    renameSync(`${path}.${process.pid}.new`, path);
  }
  return stale.map(nameOf);
}

const kinds = ['supergraph', 'api'] as const;
const nameOf = (kind: keyof ComposedSupergraph) => `schema/${kind}.graphql`;

function readIfThere(file: URL): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function documentOf(name: SubgraphName, readSdl: ReadSdl): DocumentNode {
  try {
    return subgraphDocument(name, readSdl);
  } catch (error) {
    if (error instanceof GraphQLError) throw new CompositionError([placed(error)]);
    throw error;
  }
}

/** `schema/task.graphql:12: message`, for each file that has a part in the problem. */
function placed(error: GraphQLError): string {
  const own = error.source && error.locations?.[0] ? [`${error.source.name}:${error.locations[0].line}`] : [];
  const others = (error.nodes ?? []).flatMap(({ loc }) =>
    loc ? [`${loc.source.name}:${loc.startToken.line}`] : [],
  );
  const places = [...new Set([...own, ...others])];
  return places.length ? `${places.join(', ')}: ${error.message}` : error.message;
}

function refuse(complaints: string[]): void {
  if (complaints.length) throw new CompositionError(complaints);
}

function main(check: boolean): number {
  try {
    const composed = composeSupergraph();
    const stale = check ? staleFiles(composed) : [];
    if (stale.length) {
      console.error(`${stale.join(' and ')} out of date. Run \`${COMMAND}\` and commit the result.`);
      return 1;
    }
    const written = check ? [] : writeComposed(composed);
    console.log(written.length ? `Wrote ${written.join(' and ')}.` : 'The composed schema is up to date.');
    return 0;
  } catch (error) {
    if (!(error instanceof CompositionError)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) process.exitCode = main(process.argv.includes('--check'));
