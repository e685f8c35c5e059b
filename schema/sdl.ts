import { readFileSync } from 'node:fs';
import { type DocumentNode, Kind, parse, Source } from 'graphql';

/** The subgraphs in the order of their ports, with the addresses they have unless a variable says otherwise. */
export const subgraphs = [
  { name: 'user', url: 'http://127.0.0.1:4001/graphql' },
  { name: 'org', url: 'http://127.0.0.1:4002/graphql' },
  { name: 'task', url: 'http://127.0.0.1:4003/graphql' },
  { name: 'notification', url: 'http://127.0.0.1:4004/graphql' },
] as const;

export type SubgraphName = (typeof subgraphs)[number]['name'];

export const subgraphNames: readonly SubgraphName[] = subgraphs.map(({ name }) => name);

/** Reads one of the five hand-written files: `conventions`, `user`, `org`, `task` or `notification`. */
export type ReadSdl = (file: 'conventions' | SubgraphName) => string;

/** Reads from disk on each call, so that a watcher sees a change. */
export const readSdlFile: ReadSdl = (file) =>
  readFileSync(new URL(`./${file}.graphql`, import.meta.url), 'utf8');

/** The SDL that a subgraph serves: what all four promise alike, then its own file. */
export function subgraphSdl(name: SubgraphName, readSdl: ReadSdl = readSdlFile): string {
  return `${readSdl('conventions')}\n${readSdl(name)}`;
}

/** The same as a document whose locations name the file and line that a person would open. Throws on bad syntax. */
export function subgraphDocument(name: SubgraphName, readSdl: ReadSdl = readSdlFile): DocumentNode {
  const files = ['conventions', name] as const;
  const documents = files.map((file) => parse(new Source(readSdl(file), `schema/${file}.graphql`)));
  return { kind: Kind.DOCUMENT, definitions: documents.flatMap(({ definitions }) => definitions) };
}
