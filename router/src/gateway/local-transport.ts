// Calls to subgraphs of this process: no HTTP, and the answer comes as the objects that were resolved, not as text.
//
// The same door as over HTTP: the context is signed over the exact bytes, and verified there. The answer is the caller's
// own: values that the subgraph might still hold are copied (kit/service-local.ts).

import type { LocalCall, LocalReply } from '@taskflow/kit/service-local';
import type { LocalListener, LocalSubscribePayload } from '@taskflow/kit/service-local-stream';
import { CallFailure } from './call-failure.ts';
import type { SubgraphAnswer, SubgraphCall, Transport } from './subgraph-calls.ts';

/** A subgraph in this process: `GraphqlService` of the kit is one. */
export interface LocalSubgraph {
  call(call: LocalCall): Promise<LocalReply>;
  subscribe(payload: LocalSubscribePayload, listener: LocalListener): () => void;
}

export type LocalSubgraphs = ReadonlyMap<string, LocalSubgraph>;

export interface LocalTransport {
  has(call: SubgraphCall): boolean;
  readonly send: Transport;
}

export function createLocalTransport(subgraphs: LocalSubgraphs): LocalTransport {
  return {
    has: ({ subgraph }) => subgraphs.has(subgraph),
    send(call) {
      const subgraph = subgraphs.get(call.subgraph);
      if (!subgraph) return Promise.reject(new CallFailure('unsent', 'there is no such subgraph here'));
      return send(subgraph, call);
    },
  };
}

function send(subgraph: LocalSubgraph, call: SubgraphCall): Promise<SubgraphAnswer> {
  const { cancellation, deadlineAt } = call;
  const leftMs = deadlineAt - performance.now();
  if (leftMs <= 0) return Promise.reject(new CallFailure('late', 'the deadline had passed before the call'));
  return new Promise((resolve, reject) => {
    const end = (failure: CallFailure) => {
      clearTimeout(timer);
      cancellation.offCancel(cancelled);
      reject(failure);
    };
    const cancelled = () => end(new CallFailure('cancelled', 'nobody waits for the answer any more'));
    const timer = Number.isFinite(leftMs)
      ? setTimeout(() => end(new CallFailure('late', 'no answer before the deadline')), leftMs)
      : undefined;
    cancellation.onCancel(cancelled);
    const body = Buffer.from(call.request.body);
    subgraph.call({ context: call.headers['taskflow-context'], body, cancellation }).then(
      (reply) => {
        clearTimeout(timer);
        cancellation.offCancel(cancelled);
        try {
          resolve(answerIn(reply, call));
        } catch (failure) {
          reject(failure as CallFailure);
        }
      },
      (error: unknown) =>
        end(new CallFailure('bad', 'the subgraph of this process failed', { cause: error })),
    );
  });
}

function answerIn({ status, headers, answer }: LocalReply, call: SubgraphCall): SubgraphAnswer {
  call.answerHeaders = headers;
  if (status === 504 && !answer.data) throw new CallFailure('late', 'the subgraph gave up');
  if (status === 503 && !answer.data) throw new CallFailure('unavailable', 'the subgraph is stopping');
  if (status === 401 && call.exchange.viewer) {
    throw new CallFailure('bad', 'the subgraph refused the signed context');
  }
  return answer;
}
