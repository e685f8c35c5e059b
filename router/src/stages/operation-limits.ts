// needs       params: query, variables
// adds        document: parsed, and within the limits
// may answer  OPERATION_TOO_LARGE 400 · GRAPHQL_PARSE_FAILED 400 · GRAPHQL_VALIDATION_FAILED 400 (a reserved name)

import { type DocumentNode, GraphQLError, Lexer, parse, Source, TokenKind } from 'graphql';
import { paramsOf, Refusal } from '../exchange.ts';
import type { Documents } from '../gateway/documents.ts';
import { measureDocument, type OperationSize } from '../gateway/operation-size.ts';
import type { RequestStage } from '../pipeline.ts';

export interface OperationLimits {
  /** Values in the variables: coercing one costs a microsecond. */
  variableValuesMax: number;
  documentBytesMax: number;
  tokensMax: number;
  depthMax: number;
  /** Depth below `__schema` and `__type`, which the standard introspection query needs more of. */
  introspectionDepthMax: number;
  aliasesMax: number;
  rootFieldsMax: number;
  /** How often one selection set may write the same response name: comparing them is quadratic. */
  repeatsMax: number;
  directivesMax: number;
  /** Selections after fragments are expanded. */
  selectionsMax: number;
  /** Root fields that check a secret; one of them per operation, so that a request is one guess. */
  credentialFields: readonly string[];
}

export interface OperationLimitsDeps {
  limits: OperationLimits;
  documents: Documents;
}

export function createOperationLimits({ limits, documents }: OperationLimitsDeps): RequestStage {
  return {
    name: 'operation-limits',
    run(exchange) {
      const { query, variables } = paramsOf(exchange);
      checkVariables(variables, limits.variableValuesMax);
      const known = documents.find(query);
      if (known) {
        exchange.document = known.document;
        return;
      }
      // Cheapest first: a hostile document pays with its length, then its tokens, before a tree is built of it.
      checkText(query, limits);
      const document = parseOrRefuse(query);
      checkSize(measureDocument(document, limits.credentialFields), limits);
      documents.keep(query, document);
      exchange.document = document;
    },
  };
}

/** Walks without recursion, and no further than it has to. */
function checkVariables(variables: Record<string, unknown>, max: number): void {
  const waiting: unknown[] = [variables];
  for (let count = 0; waiting.length > 0; count++) {
    const value = waiting.pop();
    if (typeof value !== 'object' || value === null) continue;
    for (const inner of Object.values(value)) waiting.push(inner);
    if (count + waiting.length > max) {
      throw new Refusal('OPERATION_TOO_LARGE', `The variables have more than ${max} values.`);
    }
  }
}

function checkText(query: string, limits: OperationLimits): void {
  const bytes = Buffer.byteLength(query);
  if (bytes > limits.documentBytesMax) throw tooLarge('is', bytes, 'bytes', limits.documentBytesMax);
  const lexer = new Lexer(new Source(query));
  try {
    for (let count = 0; lexer.advance().kind !== TokenKind.EOF; ) {
      if (++count > limits.tokensMax)
        throw tooLarge('has more than', limits.tokensMax, 'tokens', limits.tokensMax);
    }
  } catch (error) {
    throw error instanceof GraphQLError ? parseFailed(error) : error;
  }
}

function parseOrRefuse(query: string): DocumentNode {
  try {
    return parse(query);
  } catch (error) {
    if (error instanceof GraphQLError) throw parseFailed(error);
    throw error;
  }
}

function parseFailed({ message, source, positions }: GraphQLError): GraphQLError {
  return new GraphQLError(message, { source, positions, extensions: { code: 'GRAPHQL_PARSE_FAILED' } });
}

function checkSize(size: OperationSize, limits: OperationLimits): void {
  if (size.reservedName) {
    throw new Refusal('GRAPHQL_VALIDATION_FAILED', `The name "${size.reservedName}" is reserved.`);
  }
  const {
    depthMax,
    introspectionDepthMax,
    aliasesMax,
    rootFieldsMax,
    repeatsMax,
    directivesMax,
    selectionsMax,
  } = limits;
  if (size.depth > depthMax) throw tooLarge('is', size.depth, 'levels deep', depthMax);
  if (size.introspectionDepth > introspectionDepthMax) {
    throw tooLarge('introspects', size.introspectionDepth, 'levels deep', introspectionDepthMax);
  }
  if (size.aliases > aliasesMax) throw tooLarge('has', size.aliases, 'aliases', aliasesMax);
  if (size.rootFields > rootFieldsMax) throw tooLarge('has', size.rootFields, 'root fields', rootFieldsMax);
  if (size.repeats > repeatsMax)
    throw tooLarge('has', size.repeats, 'times the same field in one place', repeatsMax);
  if (size.directives > directivesMax) throw tooLarge('has', size.directives, 'directives', directivesMax);
  if (size.selections > selectionsMax) {
    throw tooLarge('has', size.selections, 'selections with its fragments expanded', selectionsMax);
  }
  if (size.credentialFields > 1) throw tooLarge('has', size.credentialFields, 'credential fields', 1);
}

function tooLarge(verb: string, value: number, what: string, max: number): Refusal {
  const shown = Number.isSafeInteger(value) ? value : 'far too many';
  return new Refusal(
    'OPERATION_TOO_LARGE',
    `The operation ${verb} ${shown} ${what}; at most ${max} are accepted.`,
  );
}
