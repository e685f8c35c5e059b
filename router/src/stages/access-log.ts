// needs       requestId
// adds        one log line when the answer is finished: who, what, how long, which codes; never variables or tokens
// may answer  nothing

import type { Log } from '@taskflow/kit/log';
import type { Answer, Exchange } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';

export function createAccessLog({ log }: { log: Log }): RequestStage {
  return {
    name: 'access-log',
    run(exchange) {
      exchange.onAnswered.push((answer) => log.info(lineOf(exchange, answer), 'operation'));
    },
  };
}

function lineOf(exchange: Exchange, answer: Answer) {
  const codes = answer.body?.errors?.map((error) => error.extensions?.code);
  return {
    requestId: exchange.requestId,
    transport: exchange.transport,
    orgId: exchange.viewer?.orgId,
    userId: exchange.viewer?.userId,
    operation: exchange.prepared?.operation.operation,
    operationName: exchange.prepared?.operation.name?.value,
    fallback: exchange.fallback ?? undefined,
    status: answer.status,
    codes: codes?.length ? [...new Set(codes)] : undefined,
    durationMs: Math.round((performance.now() - exchange.startedAt) * 10) / 10,
  };
}
