// needs       prepared
// adds        the answer: data of the subgraphs, partial where one of them failed
// may answer  BAD_REQUEST 400 to a subscription without a socket · UNAUTHENTICATED (or what a cookie's token was refused for) 401 to an anonymous request for a viewer's data

import { type Answer, type AnswerBody, type Exchange, preparedOf, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';

export function createExecute(): RequestStage {
  return {
    name: 'execute',
    async run(exchange): Promise<Answer> {
      const { operation, supergraph } = preparedOf(exchange);
      if (operation.operation === 'subscription') {
        throw new Refusal(
          'BAD_REQUEST',
          'Subscriptions run over a WebSocket (graphql-transport-ws) at this address.',
        );
      }
      const { status, body } = await supergraph.execute(exchange);
      const isRefused = needsSignIn(exchange, body);
      if (isRefused && exchange.cookieRefusal) throw exchange.cookieRefusal;
      return { status: isRefused ? 401 : (status ?? 200), headers: {}, body };
    },
  };
}

/** The subgraph decides what an anonymous caller may do; when the answer is "nothing", HTTP says so as well. */
function needsSignIn({ viewer }: Exchange, { data, errors }: AnswerBody): boolean {
  if (viewer || !errors || errors.length === 0) return false;
  const isEmpty = data == null || Object.values(data).every((value) => value === null);
  return isEmpty && errors.every((error) => error.extensions?.code === 'UNAUTHENTICATED');
}
