// The table of contents: every stage in the order a request meets it.

import type { Answer, AnswerBody, Exchange } from './exchange.ts';
import type { AccessToken } from './tokens.ts';

/** What HTTP and sockets may do with an exchange. */
export interface Pipeline {
  /** The whole way: request stages, execution, response stages. Never rejects; the answer is safe to send. */
  run(exchange: Exchange): Promise<Answer>;
  /** The request stages in front of `execute`. Null: `exchange.prepared` is ready; otherwise the final, safe answer. */
  prepare(exchange: Exchange): Promise<Answer | null>;
  /** `execute` and the response stages, for an exchange that `prepare` let through. */
  execute(exchange: Exchange): Promise<Answer>;
  /** The response stages alone: makes a subscription's event (or a thrown error) safe to send. */
  respond(exchange: Exchange, body: AnswerBody | Error): Promise<Answer>;
  /** The signed context of a call to `subgraph` over exactly these bytes; null when calls are not signed. */
  signContext(exchange: Exchange, subgraph: string, bytes: string | Buffer): string | null;
  /** Verifies `Bearer …` as `authenticate` does; null for an absent token, a Refusal for a bad one. */
  verifyToken(authorization: string | undefined): Promise<AccessToken | null>;
}
