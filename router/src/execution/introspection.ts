// `__schema` and `__type`: executed by graphql-js on the API schema, remembered where no variable is involved.

import {
  type DocumentNode,
  executeSync,
  type FieldNode,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { RawError } from './compiled-operation.ts';
import { jsonOf } from './values.ts';

/** Characters of remembered answers: a dozen of a large schema. The full answer of TaskFlow's has a third of a million. */
const TEXT_LENGTH_MAX = 8_000_000;

/** Remembered texts of one schema's introspection. */
export type IntrospectionTexts = LRUCache<DocumentNode, string>;

export function createIntrospectionTexts(): IntrospectionTexts {
  return new LRUCache({ maxSize: TEXT_LENGTH_MAX, sizeCalculation: (text) => text.length + 1 });
}

export interface Introspection {
  readonly key: string;
  /** JSON text of the field. */
  text(variables: Readonly<Record<string, unknown>>): { text: string; errors: readonly RawError[] };
}

export function isIntrospection([node]: readonly FieldNode[]): boolean {
  return node?.name.value === '__schema' || node?.name.value === '__type';
}

/** `nodes`: the root field's nodes, all under one response key. */
export function compileIntrospection(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  key: string,
  nodes: readonly FieldNode[],
  texts: IntrospectionTexts,
): Introspection {
  const asked = documentOf(document, operation, nodes);
  const isConstant = variablesUsed(asked).size === 0;
  return {
    key,
    text(variables) {
      const known = isConstant ? texts.get(asked) : undefined;
      if (known !== undefined) return { text: known, errors: [] };
      const { data, errors = [] } = executeSync({
        schema,
        document: asked,
        variableValues: variables,
        rootValue: {},
      });
      const text = jsonOf(data?.[key] ?? null);
      if (isConstant && errors.length === 0) texts.set(asked, text);
      return { text, errors };
    },
  };
}

function documentOf(
  document: DocumentNode,
  operation: OperationDefinitionNode,
  nodes: readonly FieldNode[],
): DocumentNode {
  // The field is in: what decided that has been decided.
  const selections = nodes.map((node) => ({ ...node, directives: [] }));
  const only: OperationDefinitionNode = {
    ...operation,
    directives: [],
    selectionSet: { kind: Kind.SELECTION_SET, selections },
  };
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
  const whole: DocumentNode = { kind: Kind.DOCUMENT, definitions: [only, ...fragments] };
  const used = variablesUsed(whole);
  const variableDefinitions = operation.variableDefinitions?.filter(({ variable }) =>
    used.has(variable.name.value),
  );
  return {
    ...whole,
    definitions: [{ ...only, ...(variableDefinitions ? { variableDefinitions } : {}) }, ...fragments],
  };
}

function variablesUsed(document: DocumentNode): Set<string> {
  const used = new Set<string>();
  visit(document, {
    VariableDefinition: () => false,
    Variable: ({ name }) => {
      used.add(name.value);
    },
  });
  return used;
}
