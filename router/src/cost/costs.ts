// The cost of each operation, compiled once per document and supergraph; it goes when either goes.

import { type OperationDefinitionNode, parse } from 'graphql';
import type { PreparedOperation } from '../exchange.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';
import { measureIntrospection } from './introspection.ts';
import { type CostModel, compileCost, type OperationCost } from './operation-cost.ts';
import { readCostRules } from './rules.ts';

export interface Costs {
  of(prepared: Pick<PreparedOperation, 'document' | 'operation' | 'supergraph'>): OperationCost;
}

interface Priced {
  readonly model: CostModel;
  readonly operations: WeakMap<OperationDefinitionNode, OperationCost>;
}

/** `listSize`: items of a list that the schema says nothing about. */
export function createCosts({ listSize }: { listSize: number }): Costs {
  const priced = new WeakMap<LoadedSupergraph, Priced>();

  function pricedOf(supergraph: LoadedSupergraph): Priced {
    const known = priced.get(supergraph);
    if (known) return known;
    const { schema, sdl } = supergraph;
    const rules = readCostRules(parse(sdl, { noLocation: true }));
    const model = { schema, rules, introspection: measureIntrospection(schema), listSize };
    const made = { model, operations: new WeakMap<OperationDefinitionNode, OperationCost>() };
    priced.set(supergraph, made);
    return made;
  }

  return {
    of({ document, operation, supergraph }) {
      const { model, operations } = pricedOf(supergraph);
      const known = operations.get(operation);
      if (known) return known;
      const compiled = compileCost(model, document, operation);
      operations.set(operation, compiled);
      return compiled;
    },
  };
}
