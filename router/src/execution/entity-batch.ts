// Entity fetches of one subgraph in one parallel step travel as one request.
//
//   query A($representations…) { _entities(…) { … } }  ┐
//   query B($representations…) { _entities(…) { … } }  ┴▶ query A($r0…, $r1…) { _0: _entities(…) { … } _1: … }
//
// The merged text is made once, when it is first needed: a run in which only one of the fetches finds something to ask sends
// that fetch's own text, and one in which none does sends nothing. What cannot be merged (two meanings of one variable,
// directives on the operation) stays apart.

import {
  type ASTNode,
  type DocumentNode,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  stripIgnoredCharacters,
  type VariableDefinitionNode,
  visit,
} from 'graphql';
import { type EntityFetch, type Share, type Step, sendEntities, variablesWriter } from './fetches.ts';
import type { Gathered } from './gathering.ts';
import type { Run } from './run.ts';
import { requestMaker } from './subgraph-request.ts';

const REPRESENTATIONS = 'representations';

/** `fetches`: two or more of one subgraph. */
export function batchStep(fetches: readonly EntityFetch[]): Step {
  let merged: Merged | null = null;
  const subgraph = (fetches[0] as EntityFetch).subgraph;

  function sendMerged(run: Run, gathered: readonly Gathered[]): Promise<void> {
    merged ??= merge(fetches);
    const { make, writeVariables, names } = merged;
    const variables = writeVariables(run);
    const lists = gathered.map(({ text }, at) => `"${names.representations[at]}":[${text}]`).join(',');
    const shares: Share[] = [];
    for (const [at, of] of fetches.entries()) {
      const own = gathered[at] as Gathered;
      if (own.count > 0) shares.push({ of, gathered: own, key: names.keys[at] as string });
    }
    return sendEntities(run, subgraph, make(`${variables}${variables && ','}${lists}`), shares);
  }

  return (run) => {
    const gathered = fetches.map((fetch) => fetch.gather(run));
    const asking = gathered.filter(({ count }) => count > 0);
    if (asking.length === 0) return undefined;
    if (asking.length > 1) return sendMerged(run, gathered);
    const [only] = asking;
    return fetches[gathered.indexOf(only as Gathered)]?.send(run, only as Gathered);
  };
}

interface Merged {
  readonly make: ReturnType<typeof requestMaker>;
  readonly writeVariables: (run: Run) => string;
  readonly names: { readonly representations: readonly string[]; readonly keys: readonly string[] };
}

function merge(fetches: readonly EntityFetch[]): Merged {
  const documents = fetches.map(({ fetch }) => parse(fetch.operation, { noLocation: true }));
  const operations = documents.map(operationOf);
  const taken = new Set(operations.flatMap(variableNames));
  const representations = fetches.map((_, at) => free(`r${at}`, taken));
  const keys = fetches.map((_, at) => `_${at}`);
  const renamed = documents.map((document, at) =>
    renameParts(document, at, representations[at] as string, keys[at] as string),
  );
  const first = operations[0] as OperationDefinitionNode;
  const operation: OperationDefinitionNode = {
    ...first,
    variableDefinitions: unitedVariables(renamed.map(operationOf)),
    selectionSet: {
      kind: Kind.SELECTION_SET,
      selections: renamed.flatMap((document) => operationOf(document).selectionSet.selections),
    },
  };
  const fragments = renamed.flatMap(({ definitions }) =>
    definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION),
  );
  const query = stripIgnoredCharacters(
    print({ kind: Kind.DOCUMENT, definitions: [operation, ...fragments] }),
  );
  const usages = new Set(fetches.flatMap(({ fetch }) => fetch.variableUsages ?? []));
  return {
    make: requestMaker({ query, operationName: fetches[0]?.fetch.operationName, isRead: true }),
    writeVariables: variablesWriter([...usages]),
    names: { representations, keys },
  };
}

function free(name: string, taken: ReadonlySet<string>): string {
  return taken.has(name) ? free(`${name}_`, taken) : name;
}

function operationOf({ definitions }: DocumentNode): OperationDefinitionNode {
  const operation = definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  return operation as OperationDefinitionNode;
}

const variableNames = ({ variableDefinitions = [] }: OperationDefinitionNode) =>
  variableDefinitions.map(({ variable }) => variable.name.value);

function renameParts(document: DocumentNode, at: number, representations: string, key: string): DocumentNode {
  const renamed = <T extends ASTNode & { name: { value: string } }>(node: T): T => ({
    ...node,
    name: { ...node.name, value: `${node.name.value}_${at}` },
  });
  const named: DocumentNode = visit(document, {
    FragmentDefinition: (node) => renamed(node),
    FragmentSpread: (node) => renamed(node),
    Variable: (node) =>
      node.name.value === REPRESENTATIONS
        ? { ...node, name: { ...node.name, value: representations } }
        : undefined,
  });
  const operation = operationOf(named);
  const aliased: OperationDefinitionNode = {
    ...operation,
    selectionSet: {
      ...operation.selectionSet,
      selections: operation.selectionSet.selections.map((selection) =>
        selection.kind === Kind.FIELD ? { ...selection, alias: { kind: Kind.NAME, value: key } } : selection,
      ),
    },
  };
  return {
    ...named,
    definitions: named.definitions.map((definition) => (definition === operation ? aliased : definition)),
  };
}

function unitedVariables(operations: readonly OperationDefinitionNode[]): VariableDefinitionNode[] {
  const byName = new Map<string, VariableDefinitionNode>();
  for (const { variableDefinitions = [] } of operations)
    for (const definition of variableDefinitions) byName.set(definition.variable.name.value, definition);
  return [...byName.values()];
}

/** Those of one subgraph that can travel together, in groups of two or more; and the others. */
export function batchesOf<T extends { readonly lead: EntityFetch }>(
  members: readonly T[],
): { batches: T[][]; alone: T[] } {
  const groups: { definitions: Map<string, string>; members: T[]; subgraph: unknown }[] = [];
  const alone: T[] = [];
  for (const member of members) {
    const definitions = mergeableDefinitions(member.lead);
    if (!definitions) {
      alone.push(member);
      continue;
    }
    const group = groups.find(
      ({ subgraph, definitions: known }) =>
        subgraph === member.lead.subgraph &&
        [...definitions].every(([name, text]) => (known.get(name) ?? text) === text),
    );
    if (group) {
      group.members.push(member);
      for (const [name, text] of definitions) group.definitions.set(name, text);
    } else groups.push({ definitions, members: [member], subgraph: member.lead.subgraph });
  }
  const batches: T[][] = [];
  for (const { members } of groups) {
    if (members.length > 1) batches.push(members);
    else alone.push(...members);
  }
  return { batches, alone };
}

/** The variables that a fetch defines besides its representations, as text by name; null: it cannot be merged. */
function mergeableDefinitions({ fetch }: EntityFetch): Map<string, string> | null {
  const operation = operationOf(parse(fetch.operation, { noLocation: true }));
  const { selections } = operation.selectionSet;
  const [only] = selections;
  if (operation.directives?.length || selections.length !== 1 || only?.kind !== Kind.FIELD) return null;
  if (only.name.value !== '_entities' || fetch.variableUsages?.includes(REPRESENTATIONS)) return null;
  const definitions = new Map<string, string>();
  for (const definition of operation.variableDefinitions ?? []) {
    const name = definition.variable.name.value;
    if (name !== REPRESENTATIONS) definitions.set(name, print(definition));
  }
  return definitions;
}
