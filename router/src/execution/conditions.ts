// The boolean variables that @skip, @include and @defer read.

import {
  type DocumentNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  valueFromASTUntyped,
  visit,
} from 'graphql';
import type { OperationRun } from './compiled-operation.ts';

/** The boolean variables that decide what is selected, with their defaults. */
export type Conditions = ReadonlyMap<string, unknown>;

export function conditionsOf(document: DocumentNode, operation: OperationDefinitionNode): Conditions {
  const deciding = new Set<string>();
  visit(document, {
    Directive(node) {
      if (!DECIDING.has(node.name.value)) return;
      for (const { value } of node.arguments ?? [])
        if (value.kind === Kind.VARIABLE) deciding.add(value.name.value);
    },
  });
  const conditions = new Map<string, unknown>();
  for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
    const name = variable.name.value;
    if (!deciding.has(name)) continue;
    conditions.set(name, defaultValue ? valueFromASTUntyped(defaultValue) : undefined);
  }
  return conditions;
}

const DECIDING: ReadonlySet<string> = new Set(['skip', 'include', 'defer']);

export function valuesOf(conditions: Conditions, variables: OperationRun['variables']): Map<string, boolean> {
  const values = new Map<string, boolean>();
  for (const [name, defaultValue] of conditions) {
    const given = Object.hasOwn(variables, name) ? variables[name] : undefined;
    const value = given === undefined ? defaultValue : given;
    // A nullable variable with a default may stand where a boolean must be, and be sent as null all the same.
    if (typeof value !== 'boolean') {
      throw new GraphQLError(`The variable "$${name}" decides what is selected, and must be true or false.`, {
        extensions: { code: 'BAD_USER_INPUT' },
      });
    }
    values.set(name, value);
  }
  return values;
}
