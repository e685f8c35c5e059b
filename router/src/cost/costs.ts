// The cost of each operation, compiled once per document and supergraph; it goes when either goes.

import { type GraphQLSchema, type OperationDefinitionNode, parse } from 'graphql';
import type { PreparedOperation } from '../exchange.ts';
import { type IntrospectionSizes, measureIntrospection } from './introspection.ts';
import { compileCost, type OperationCost } from './operation-cost.ts';
import { type CostRules, readCostRules } from './rules.ts';

/** What a supergraph file says of costs. Read when it is loaded, so that no operation waits for it. */
export interface Pricing {
  readonly rules: CostRules;
  readonly introspection: IntrospectionSizes;
}

export function readPricing(sdl: string, schema: GraphQLSchema): Pricing {
  return {
    rules: readCostRules(parse(sdl, { noLocation: true })),
    introspection: measureIntrospection(schema),
  };
}

export interface Costs {
  of(prepared: Pick<PreparedOperation, 'document' | 'operation' | 'supergraph'>): OperationCost;
}

/** `listSize`: items of a list that the schema says nothing about. */
export function createCosts({ listSize }: { listSize: number }): Costs {
  const bySupergraph = new WeakMap<Pricing, WeakMap<OperationDefinitionNode, OperationCost>>();
  return {
    of({ document, operation, supergraph: { schema, pricing } }) {
      const known = bySupergraph.get(pricing) ?? new WeakMap<OperationDefinitionNode, OperationCost>();
      bySupergraph.set(pricing, known);
      const cost = known.get(operation) ?? compileCost({ schema, ...pricing, listSize }, document, operation);
      known.set(operation, cost);
      return cost;
    },
  };
}
