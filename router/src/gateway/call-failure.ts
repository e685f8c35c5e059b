// How a call to a subgraph can fail, in the words that the stages around it decide by.
//
//   unsent       nothing left this process: refused, not connected
//   lost         sent, and the connection broke: whether the subgraph has acted is not known
//   unavailable  502, 503: somebody on the way says that the subgraph is not there
//   bad          an answer that is no GraphQL, or a refusal of the router itself
//   late         the deadline has passed, here or (504) there
//   cancelled    nobody waits for the answer any more

export type FailureKind = 'unsent' | 'lost' | 'unavailable' | 'bad' | 'late' | 'cancelled';

/** The message is for the log. */
export class CallFailure extends Error {
  override readonly name = 'CallFailure';
  readonly kind: FailureKind;
  readonly retryAfterMs: number | undefined;
  /** Was told when it began, and would fill the log: a breaker that is open, a client that has left. */
  readonly isExpected: boolean;

  constructor(
    kind: FailureKind,
    message: string,
    more: { cause?: unknown; retryAfterMs?: number; isExpected?: boolean } = {},
  ) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.kind = kind;
    this.retryAfterMs = more.retryAfterMs;
    this.isExpected = more.isExpected ?? kind === 'cancelled';
  }

  /** The subgraph has certainly not seen the call. */
  get wasNeverSent(): boolean {
    return this.kind === 'unsent';
  }
}
