/**
 * Which subscriptions are one: the same words, variables and plan, for viewers who read the same.
 *
 *   subscription ─▶ everything it selects is `@shared` among viewers like this one?  no ─▶ it is for this viewer alone
 *                 ─▶ without the root field's `after`, which is a place and not a part of what is asked
 *                 ─▶ key: tenant, role, words, variables, plan        and an exchange without any person
 *
 * Fails closed (kit/shared.ts). Those never share whose view is narrowed one by one: API keys by their
 * scopes, and callers from whom the file's access directives keep a field.
 */
import { createHash } from 'node:crypto';
import type { ViewerGroup } from '@taskflow/kit/identity';
import { covers, type Reach, reachOfOperation } from '@taskflow/kit/shared';
import {
  type ArgumentNode,
  type DocumentNode,
  getOperationAST,
  isRequiredArgument,
  Kind,
  type OperationDefinitionNode,
  print,
  separateOperations,
  valueFromASTUntyped,
  visit,
} from 'graphql';
import { createExchange, type Exchange, paramsOf, preparedOf } from '../exchange.ts';
import type { CompiledOperation } from '../execution/compiled-operation.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';

/** One subscription for a group of viewers. */
export interface Share {
  readonly key: string;
  /** Of nobody: tenant and role, and what they ask. */
  readonly exchange: Exchange;
  /** Whether this listener goes on from a place of its own. */
  readonly isResuming: boolean;
}

/** What `exchange` has in common with others; null when it is for its viewer alone. */
export function shareOf(exchange: Exchange): Share | null {
  const { viewer } = exchange;
  const { supergraph, document, variables: coerced, restriction } = preparedOf(exchange);
  const { operationName, variables } = paramsOf(exchange);
  if (!viewer || viewer.scopes || restriction || supergraph.sharedMarks.size === 0) return null;
  const form = formOf(supergraph, document, operationName);
  if (!form || !covers(form.reach, viewer.role)) return null;
  const { orgId, role } = viewer;
  const group = form.reach.by === 'TENANT' ? { orgId } : { orgId, role };
  const pick = (from: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(form.variables.filter((name) => name in from).map((name) => [name, from[name]]));
  const asked = pick(variables);
  return {
    key: JSON.stringify([group.orgId, group.role ?? null, form.id, canonical(asked)]),
    exchange: exchangeOf(group, form, { asked, coerced: pick(coerced) }, supergraph),
    isResuming: form.afterIn(variables) != null,
  };
}

/** A document without the place to go on from. */
interface SharedForm {
  /** Hash of its words and its plan. */
  readonly id: string;
  readonly reach: Reach;
  readonly text: string;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly compiled: CompiledOperation;
  /** Names of those that it uses. */
  readonly variables: readonly string[];
  afterIn(variables: Readonly<Record<string, unknown>>): unknown;
}

const forms = new WeakMap<LoadedSupergraph, WeakMap<DocumentNode, Map<string, SharedForm | null>>>();

function formOf(supergraph: LoadedSupergraph, document: DocumentNode, name = ''): SharedForm | null {
  const ofSupergraph = forms.get(supergraph) ?? new WeakMap<DocumentNode, Map<string, SharedForm | null>>();
  forms.set(supergraph, ofSupergraph);
  const ofDocument = ofSupergraph.get(document) ?? new Map<string, SharedForm | null>();
  ofSupergraph.set(document, ofDocument);
  const known = ofDocument.get(name);
  if (known !== undefined) return known;
  const form = makeForm(supergraph, document, name);
  ofDocument.set(name, form);
  return form;
}

function makeForm(supergraph: LoadedSupergraph, whole: DocumentNode, name: string): SharedForm | null {
  const { sharedMarks, schema } = supergraph;
  const asked = getOperationAST(whole, name || undefined);
  const document = separateOperations(whole)[asked?.name?.value ?? ''];
  const reach = document ? reachOfOperation(sharedMarks, schema, document) : null;
  if (!asked || !document || reach === null) return null;
  // A root field that stands in a fragment may hide its `after` there.
  if (asked.selectionSet.selections.some(({ kind }) => kind !== Kind.FIELD)) return null;
  const after = afterOf(asked);
  if (after && isAfterRequired(supergraph, after.field)) return null;
  const shared = after ? withoutAfter(document, after.argument) : document;
  const operation = getOperationAST(shared);
  if (!operation) return null;
  const compiled = supergraph.compile(shared, operation.name?.value);
  const text = print(shared);
  return {
    id: hashOf(text, JSON.stringify(compiled.plan.node)),
    ...{ reach, text, document: shared, operation, compiled },
    variables: (operation.variableDefinitions ?? []).map(({ variable }) => variable.name.value).sort(),
    afterIn: (variables) => (after ? valueOfAfter(asked, after.argument, variables) : null),
  };
}

/** The argument `after` of the one root field. */
function afterOf({ selectionSet }: OperationDefinitionNode) {
  for (const field of selectionSet.selections) {
    if (field.kind !== Kind.FIELD) continue;
    const argument = field.arguments?.find(({ name }) => name.value === 'after');
    if (argument) return { field: field.name.value, argument };
  }
  return null;
}

function isAfterRequired({ schema }: LoadedSupergraph, field: string): boolean {
  const args = schema.getSubscriptionType()?.getFields()[field]?.args ?? [];
  return args.some((arg) => arg.name === 'after' && isRequiredArgument(arg));
}

function withoutAfter(document: DocumentNode, after: ArgumentNode): DocumentNode {
  const without = visit(document, { Argument: (node) => (node === after ? null : undefined) });
  const used = new Set<string>();
  visit(without, {
    VariableDefinition: () => false,
    Variable: ({ name }) => void used.add(name.value),
  });
  return visit(without, {
    VariableDefinition: ({ variable }) => (used.has(variable.name.value) ? undefined : null),
  });
}

function valueOfAfter(
  { variableDefinitions = [] }: OperationDefinitionNode,
  { value }: ArgumentNode,
  variables: Readonly<Record<string, unknown>>,
): unknown {
  if (value.kind !== Kind.VARIABLE) return valueFromASTUntyped(value);
  const name = value.name.value;
  if (variables[name] !== undefined) return variables[name];
  const definition = variableDefinitions.find(({ variable }) => variable.name.value === name);
  return definition?.defaultValue ? valueFromASTUntyped(definition.defaultValue) : null;
}

function exchangeOf(
  viewerGroup: ViewerGroup,
  { text, document, operation, compiled }: SharedForm,
  variables: { asked: Record<string, unknown>; coerced: Record<string, unknown> },
  supergraph: LoadedSupergraph,
): Exchange {
  const operationName = operation.name?.value;
  const exchange = createExchange({
    transport: 'socket',
    headers: {},
    clientAddress: '',
    authorization: undefined,
    params: { query: text, operationName, variables: variables.asked, extensions: {} },
  });
  exchange.viewerGroup = viewerGroup;
  exchange.prepared = {
    document,
    operation,
    supergraph,
    variables: variables.coerced,
    restriction: null,
    compiled,
  };
  return exchange;
}

/** As JSON with the members of objects in one order. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, item]) => [name, canonical(item)]);
}

function hashOf(...texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\0');
  return hash.digest('base64url');
}
