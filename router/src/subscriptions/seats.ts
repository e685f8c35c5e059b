import type { AccessToken } from '../tokens.ts';

/** How many sockets and HTTP streams each person holds open on this router, and the bound. */
export interface Seats {
  /** A seat for `key`, given back by the returned function; null when all of its seats are taken. */
  take(key: string): (() => void) | null;
}

/** Whose seat it is: a person's, or an API key's. Contains the tenant. */
export function seatKeyOf({ viewer, apiKey }: AccessToken): string {
  return `${viewer.orgId}:${apiKey ? viewer.sessionId : viewer.userId}`;
}

export function createSeats(perKeyMax: number): Seats {
  const taken = new Map<string, number>();
  return {
    take(key) {
      const count = taken.get(key) ?? 0;
      if (count >= perKeyMax) return null;
      taken.set(key, count + 1);
      let isGivenBack = false;
      return () => {
        if (isGivenBack) return;
        isGivenBack = true;
        const left = (taken.get(key) ?? 1) - 1;
        if (left > 0) taken.set(key, left);
        else taken.delete(key);
      };
    },
  };
}
