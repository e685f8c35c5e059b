/**
 * Why a socket was closed, as the client reads it. Codes below 4000 are WebSocket's own; the others are those
 * of the graphql-transport-ws protocol, and a public promise.
 */
export const CLOSE = {
  goingAway: 1001,
  internalError: 1011,
  tryAgainLater: 1013,
  badMessage: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  subprotocol: 4406,
  initialisationTimeout: 4408,
  duplicateId: 4409,
  tooMany: 4429,
} as const;

export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE];

/** RFC 6455: a close frame carries at most 123 bytes of reason. */
const REASON_BYTES_MAX = 123;

/** A reason that fits into a close frame; cut, never refused. */
export function closeReason(text: string): string {
  let fitting = text;
  while (Buffer.byteLength(fitting) > REASON_BYTES_MAX) fitting = fitting.slice(0, -1);
  return fitting;
}
