// The subgraphs of a test supergraph, answering in memory, and the monolith that holds the same data in one schema.

import { buildSubgraphSchema, type GraphQLResolverMap } from '@apollo/subgraph';
import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isInterfaceType,
  isObjectType,
  Kind,
  parse,
  type SelectionSetNode,
  validate,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import {
  callFault,
  entityFault,
  type FaultPlan,
  type FieldFault,
  fieldFault,
  isMeantFor,
  spoiled,
} from './faults.ts';
import { canonical } from './hash.ts';
import { type Model, Thing } from './model.ts';
import type { TestSubgraph, TestSupergraph } from './supergraph.ts';

export interface Request {
  query: string;
  operationName?: string | undefined;
  variables: Record<string, unknown>;
}

export type Answer = { data?: Record<string, unknown> | null; errors?: { message: string }[] };

/** An object on its way through a subgraph, with the representation it came from. */
interface Source {
  thing: Thing;
  representation: Record<string, unknown> | null;
}

interface Run {
  model: Model;
  faults: FaultPlan;
  /** What has to be spoiled in the finished answer, outer ones first. */
  spoils: { path: readonly (string | number)[]; fault: FieldFault }[];
}

type Resolver = GraphQLFieldResolver<Source, Run, Record<string, unknown>>;

/** Answers one request of a subgraph. Rejects when the fault plan says that the call fails. */
export type AskSubgraph = (
  name: string,
  request: Request,
  model: Model,
  faults: FaultPlan,
) => Promise<Answer>;

export function createSubgraphs(supergraph: TestSupergraph): AskSubgraph {
  const ways = new Map(supergraph.subgraphs.map((one, index) => [one.name, createSubgraph(one, index)]));
  return (name, ...rest) => {
    const ask = ways.get(name);
    if (!ask) throw new Error(`no subgraph ${name}`);
    return ask(...rest);
  };
}

function createSubgraph(subgraph: TestSubgraph, index: number) {
  const schema = buildSubgraphSchema([
    { typeDefs: subgraph.document, resolvers: referenceResolvers(subgraph) as GraphQLResolverMap<Run> },
  ]);
  const documents = new LRUCache<string, DocumentNode>({ max: 500 });
  const roots = rootNames(schema);
  const fieldResolver = fieldResolverOf(subgraph, roots);

  function documentOf(query: string): DocumentNode {
    const known = documents.get(query);
    if (known) return known;
    const document = parse(query);
    const [problem] = validate(schema, document);
    if (problem)
      throw new Error(`${subgraph.name} was asked what it does not have: ${problem.message}\n${query}`);
    documents.set(query, document);
    return document;
  }

  return async (request: Request, model: Model, faults: FaultPlan): Promise<Answer> => {
    const document = documentOf(request.query);
    const isEntityFetch = 'representations' in request.variables || /\b_entities\b/.test(request.query);
    const fault = callFault(faults, index, isEntityFetch);
    if (fault === 'rejected') throw new GraphQLError('the call failed', { extensions: { code: 'AWAY' } });
    if (fault === 'data null' || fault === 'no data') {
      const errors = [{ message: 'the subgraph is unwell', extensions: { code: 'UNWELL' } }];
      return fault === 'no data' ? { errors } : { data: null, errors };
    }
    const run: Run = { model, faults, spoils: [] };
    const kind = document.definitions.some((one) => 'operation' in one && one.operation === 'mutation');
    const rootValue: Source = { thing: model.root(kind ? 'Mutation' : 'Query'), representation: null };
    const result = await execute({
      schema,
      document,
      rootValue,
      contextValue: run,
      variableValues: request.variables,
      operationName: request.operationName,
      fieldResolver,
      typeResolver,
    });
    // What travels is JSON: fresh objects, errors in their formatted form.
    const answer = JSON.parse(JSON.stringify(result)) as Answer;
    for (const spoil of run.spoils) spoilAt(answer, spoil.path, spoil.fault);
    return fault ? withCallFault(answer, fault) : answer;
  };
}

function withCallFault(answer: Answer, fault: string): Answer {
  const { data, errors = [] } = answer;
  if (fault === 'error without path') {
    return {
      ...answer,
      errors: [...errors, { message: 'something is odd', ...{ extensions: { code: 'ODD' } } }],
    };
  }
  if (fault === 'error with a path') {
    const path = data ? Object.keys(data).slice(0, 1) : [];
    return { ...answer, errors: [...errors, { message: 'this is odd', ...{ path } }] };
  }
  for (const [key, value] of Object.entries(data ?? {})) {
    if (!data || !Array.isArray(value) || !/^_|_entities/.test(key)) continue;
    if (fault === 'entities short') value.pop();
    if (fault === 'entities long') value.push(null);
    if (fault === 'entities no list') data[key] = { no: 'list' };
  }
  return answer;
}

function spoilAt(answer: Answer, path: readonly (string | number)[], fault: FieldFault) {
  let at: unknown = answer.data;
  for (const key of path.slice(0, -1)) {
    if (typeof at !== 'object' || at === null) return;
    at = (at as Record<string | number, unknown>)[key];
  }
  const last = path.at(-1);
  if (typeof at !== 'object' || at === null || last === undefined || !(last in at)) return;
  const holder = at as Record<string | number, unknown>;
  holder[last] = spoiled(holder[last], fault);
}

function referenceResolvers({ name, schema, document }: TestSubgraph): Record<string, object> {
  const resolvers: Record<string, object> = {};
  for (const node of document.definitions) {
    if (!('name' in node) || !node.name || !('directives' in node)) continue;
    const type = node.name.value;
    const named = schema.getType(type);
    if (!node.directives?.some((directive) => directive.name.value === 'key')) continue;
    if (!isObjectType(named) && !isInterfaceType(named)) continue;
    const subgraph = { name, schema, document };
    resolvers[type] = {
      __resolveReference(representation: Record<string, unknown>, run: Run) {
        const thing = run.model.find(subgraph, type, representation);
        // Rejected and not thrown: what is thrown here fails the whole list.
        const failed = (message: string) => Promise.reject(new Error(message));
        if (!thing) return failed(`${name} knows no ${type} ${canonical(representation)}`);
        const fault = entityFault(run.faults, `${name} ${thing.id}`);
        if (fault === 'absent') return null;
        if (fault === 'failing') return failed(`${thing.id} cannot be found`);
        // An interface's reference has to say itself which of the implementations it is.
        return { thing, representation, ...(isInterfaceType(named) ? { __typename: thing.type } : {}) };
      },
    };
  }
  return resolvers;
}

function fieldResolverOf(subgraph: TestSubgraph, roots: ReadonlySet<string>): Resolver {
  return (source, args, run, info) => {
    const { model } = run;
    const { thing, representation } = source;
    const type = roots.has(info.parentType.name) ? thing.type : info.parentType.name;
    const { requires, contexts } = model.rules.requirementsIn(subgraph.name, type, info.fieldName);
    const required =
      requires || contexts.length
        ? {
            fields: requires ? given(representation ?? {}, requires, model) : null,
            given: Object.fromEntries(contexts.map(({ argument }) => [argument, args[argument] ?? null])),
          }
        : null;
    const value = model.field(thing, info.fieldName, args, required);
    noteFault(run, thing, info, args);
    return wrapped(value);
  };
}

function noteFault(run: Run, thing: Thing, info: GraphQLResolveInfo, args: Record<string, unknown>) {
  if (run.faults.fields.length === 0) return;
  const position = `${thing.type} ${thing.id} ${info.fieldName} ${canonical(args)}`;
  const fault = fieldFault(run.faults, position);
  if (fault === 'error') throw new Error(`${thing.type}.${info.fieldName} failed`);
  const isRequired = run.model.rules.isRequired(info.fieldName);
  if (fault && isMeantFor(fault, info.returnType, isRequired)) run.spoils.push({ path: pathOf(info), fault });
}

function pathOf({ path }: GraphQLResolveInfo): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let at: GraphQLResolveInfo['path'] | undefined = path; at; at = at.prev) keys.unshift(at.key);
  return keys;
}

/** What a representation brings of the required fields. */
function given(value: Record<string, unknown>, { selections }: SelectionSetNode, model: Model): unknown {
  const result: Record<string, unknown> = {};
  for (const selection of selections) {
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      const on = selection.typeCondition?.name.value;
      const type = value.__typename;
      if (on && typeof type === 'string' && !model.rules.isOfType(type, on)) continue;
      Object.assign(result, given(value, selection.selectionSet, model));
    }
    if (selection.kind !== Kind.FIELD || selection.name.value === '__typename') continue;
    const { name, selectionSet } = selection;
    const member = name.value in value ? value[name.value] : 'was not brought';
    result[name.value] = selectionSet ? givenAll(member, selectionSet, model) : member;
  }
  return result;
}

function givenAll(value: unknown, selectionSet: SelectionSetNode, model: Model): unknown {
  if (Array.isArray(value)) return value.map((item) => givenAll(item, selectionSet, model));
  if (typeof value !== 'object' || value === null) return value;
  return given({ ...value }, selectionSet, model);
}

/** The same data in one schema without federation: what is right where nothing fails. */
export function executeMonolith(
  supergraph: TestSupergraph,
  document: DocumentNode,
  variableValues: Record<string, unknown>,
  model: Model,
): Promise<ExecutionResult> {
  const isMutation = document.definitions.some((one) => 'operation' in one && one.operation === 'mutation');
  return Promise.resolve(
    execute({
      schema: supergraph.api,
      document,
      variableValues,
      rootValue: { thing: model.root(isMutation ? 'Mutation' : 'Query'), representation: null },
      contextValue: { model },
      fieldResolver: monolithResolver,
      typeResolver,
    }),
  );
}

const monolithResolver: Resolver = ({ thing }, args, { model }, { fieldName }) =>
  wrapped(model.field(thing, fieldName, args, model.requirements(thing, fieldName)));

const typeResolver = (source: Source) => source.thing.type;

function wrapped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(wrapped);
  return value instanceof Thing ? { thing: value, representation: null } : value;
}

function rootNames(schema: GraphQLSchema): Set<string> {
  return new Set(
    [schema.getQueryType(), schema.getMutationType()].flatMap((type) => (type ? [type.name] : [])),
  );
}
