import { readFileSync } from 'node:fs';

/** The subgraphs in the order of their ports, with the addresses they have unless a variable says otherwise. */
export const subgraphs = [
  { name: 'user', url: 'http://127.0.0.1:4001/graphql' },
  { name: 'org', url: 'http://127.0.0.1:4002/graphql' },
  { name: 'task', url: 'http://127.0.0.1:4003/graphql' },
  { name: 'notification', url: 'http://127.0.0.1:4004/graphql' },
] as const;

export type SubgraphName = (typeof subgraphs)[number]['name'];

export const subgraphNames: readonly SubgraphName[] = subgraphs.map(({ name }) => name);

/** The SDL that a subgraph serves: what all four promise alike, then its own file. Read from disk on each call. */
export function subgraphSdl(name: SubgraphName): string {
  return `${readSdl('conventions')}\n${readSdl(name)}`;
}

function readSdl(file: string): string {
  return readFileSync(new URL(`./${file}.graphql`, import.meta.url), 'utf8');
}
