// The keys by which each subgraph knows its entities, read from the supergraph's `@join__type`.

import type { Supergraph } from '@apollo/federation-internals';
import { Kind, parse, type SelectionSetNode } from 'graphql';

/** The fields at the top of each resolvable key of a type in a subgraph; empty where there is none, or none is told. */
export type EntityKeys = (subgraph: string, type: string) => readonly (readonly string[])[];

interface JoinType {
  graph?: string;
  key?: string;
  resolvable?: boolean;
}

export function entityKeys({ schema }: Pick<Supergraph, 'schema'>): EntityKeys {
  const nameOfGraph = graphNames(schema);
  const bySubgraph = new Map<string, Map<string, string[][]>>();
  for (const type of schema.types()) {
    for (const directive of type.appliedDirectivesOf('join__type')) {
      const { graph, key, resolvable } = directive.arguments() as JoinType;
      const subgraph = nameOfGraph.get(graph ?? '');
      if (subgraph === undefined || key === undefined || resolvable === false) continue;
      const byType = bySubgraph.get(subgraph) ?? new Map<string, string[][]>();
      bySubgraph.set(subgraph, byType);
      byType.set(type.name, [...(byType.get(type.name) ?? []), fieldsOf(key)]);
    }
  }
  return (subgraph, type) => bySubgraph.get(subgraph)?.get(type) ?? [];
}

function graphNames(schema: Supergraph['schema']): Map<string, string> {
  const names = new Map<string, string>();
  const graphs = schema.type('join__Graph');
  if (graphs?.kind !== 'EnumType') return names;
  for (const value of graphs.values) {
    const [directive] = value.appliedDirectivesOf('join__graph');
    const { name } = (directive?.arguments() ?? {}) as { name?: string };
    if (name !== undefined) names.set(value.name, name);
  }
  return names;
}

function fieldsOf(fieldSet: string): string[] {
  const [definition] = parse(`{${fieldSet}}`, { noLocation: true }).definitions;
  return definition?.kind === Kind.OPERATION_DEFINITION ? fieldsIn(definition.selectionSet) : [];
}

function fieldsIn({ selections }: SelectionSetNode): string[] {
  return selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection.name.value];
    return selection.kind === Kind.INLINE_FRAGMENT ? fieldsIn(selection.selectionSet) : [];
  });
}
