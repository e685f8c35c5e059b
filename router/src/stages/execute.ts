// needs       prepared
// adds        the answer: data of the subgraphs, partial where one of them failed
// may answer  BAD_REQUEST 400 to a subscription without a socket · UNAUTHENTICATED (or what a cookie's token was refused for) 401 to an anonymous request for a viewer's data

import {
  type Answer,
  type AnswerBody,
  dataOf,
  type Exchange,
  paramsOf,
  preparedOf,
  Refusal,
} from '../exchange.ts';
import type { ExecutionResult } from '../execution/compiled-operation.ts';
import type { RequestStage } from '../pipeline.ts';

export function createExecute(): RequestStage {
  return {
    name: 'execute',
    async run(exchange): Promise<Answer> {
      const prepared = preparedOf(exchange);
      if (prepared.operation.operation === 'subscription') {
        throw new Refusal(
          'BAD_REQUEST',
          'Subscriptions run over a WebSocket (graphql-transport-ws) at this address.',
        );
      }
      const { variables } = paramsOf(exchange);
      const { call } = prepared.supergraph;
      const result = await prepared.compiled.execute({ exchange, variables, call });
      const body = bodyOf(result);
      const isRefused = needsSignIn(exchange, body);
      if (isRefused && exchange.cookieRefusal) throw exchange.cookieRefusal;
      return { status: isRefused ? 401 : 200, headers: {}, body };
    },
  };
}

/** The members that execution gives; errors are raw. */
export function bodyOf({ dataText, errors, extensions }: ExecutionResult): AnswerBody {
  return {
    ...(errors.length > 0 ? { errors } : {}),
    ...(dataText === null ? {} : { dataText }),
    ...(extensions ? { extensions } : {}),
  };
}

/** The subgraph decides what an anonymous caller may do; when the answer is "nothing", HTTP says so as well. */
function needsSignIn({ viewer }: Exchange, body: AnswerBody): boolean {
  const { errors } = body;
  if (viewer || !errors || errors.length === 0) return false;
  if (errors.some((error) => error.extensions?.code !== 'UNAUTHENTICATED')) return false;
  const data = dataOf(body);
  return data == null || Object.values(data).every((value) => value === null);
}
