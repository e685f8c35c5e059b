/**
 * What a swap of the supergraph means to a subscription that is under way.
 *
 *   same plan       it stays open; what its events still need is read by the new supergraph
 *   another plan    it is asked for anew, from its position
 *   not valid any more, or what its caller may ask is to be decided anew    it ends, with its last cursor
 */
import type { GraphQLSchema } from 'graphql';
import { type DocumentNode, specifiedRules, validate } from 'graphql';
import { getVariableValues } from 'graphql/execution/values.js';
import { type Exchange, type PreparedOperation, paramsOf, preparedOf, Refusal } from '../exchange.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';

export type Succession =
  | { readonly kind: 'same' | 'another'; readonly prepared: PreparedOperation }
  | { readonly kind: 'ended'; readonly why: Refusal };

const NOT_VALID = 'The schema has changed, and this subscription is not valid any more.';
const ANEW = 'The schema has changed. Subscribe again with `after` set to the cursor.';

/** Of a subscription whose position nobody told. */
export const ASK_ANEW = new Refusal('SUBGRAPH_UNAVAILABLE', ANEW, { retryable: true });

export function successionOf(exchange: Exchange, next: LoadedSupergraph): Succession {
  const before = preparedOf(exchange);
  const { document, operation } = before;
  const { operationName, variables } = paramsOf(exchange);
  if (before.supergraph.accessRules || next.accessRules) return { kind: 'ended', why: ASK_ANEW };
  const values = getVariableValues(next.schema, operation.variableDefinitions ?? [], variables);
  if (!isValid(next.schema, document) || values.errors) {
    return { kind: 'ended', why: new Refusal('GRAPHQL_VALIDATION_FAILED', NOT_VALID) };
  }
  const compiled = next.compile(document, operationName);
  const prepared = {
    ...{ document, operation, restriction: null },
    supergraph: next,
    variables: values.coerced,
    compiled,
  };
  const isSame = planOf(exchange, before) === planOf(exchange, prepared);
  return { kind: isSame ? 'same' : 'another', prepared };
}

const valid = new WeakMap<GraphQLSchema, WeakMap<DocumentNode, boolean>>();

function isValid(schema: GraphQLSchema, document: DocumentNode): boolean {
  const ofSchema = valid.get(schema) ?? new WeakMap<DocumentNode, boolean>();
  valid.set(schema, ofSchema);
  const known = ofSchema.get(document) ?? validate(schema, document, specifiedRules).length === 0;
  ofSchema.set(document, known);
  return known;
}

const plans = new WeakMap<object, string>();

/** With the address of the subgraph whose events they are. */
function planOf(exchange: Exchange, { compiled, supergraph }: PreparedOperation): string {
  const { node } = compiled.planFor(paramsOf(exchange).variables);
  if (node?.kind !== 'Subscription') throw new Error('The planner made no subscription plan.');
  const text = plans.get(node) ?? JSON.stringify(node);
  plans.set(node, text);
  return `${supergraph.subgraphs.get(node.primary.serviceName)?.url}\n${text}`;
}
