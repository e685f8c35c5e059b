/**
 * How fast new sockets are let in. When a router or a network comes back, everybody connects at once: each handshake costs a token's
 * verification and a replay, and those who are connected pay for it. Who is too many is told when to come again, spread over a while.
 */
export interface SocketAdmission {
  /** Null: let in. Otherwise the seconds after which to come again. */
  refuse(): number | null;
}

/** As many as one second's worth may come at the same moment. */
export function createSocketAdmission(
  perSecond: number,
  { now = () => performance.now(), random = Math.random } = {},
): SocketAdmission {
  let places = perSecond;
  let at = now();
  return {
    refuse() {
      const moment = now();
      places = Math.min(perSecond, places + ((moment - at) / 1_000) * perSecond);
      at = moment;
      if (places >= 1) {
        places -= 1;
        return null;
      }
      return 1 + Math.floor(random() * RETRY_SPREAD_S);
    },
  };
}

/** As wide as a client's patience: 500 a second are 5,000 sockets within it. */
const RETRY_SPREAD_S = 10;
