import type { AccessToken } from '../tokens.ts';

/** How many of something each person holds on this router, and each organisation, and the bounds. */
export interface Seats {
  /** A seat for the one behind the token, given back by the returned function; null when all are taken. */
  take(token: AccessToken): (() => void) | null;
}

export interface SeatLimits {
  /** Of one person, or one API key. */
  readonly perUserMax: number;
  readonly perTenantMax: number;
}

/** Whose seat it is: a person's, or an API key's. Contains the tenant. */
function seatKeyOf({ viewer, apiKey }: AccessToken): string {
  return `${viewer.orgId}:${apiKey ? viewer.sessionId : viewer.userId}`;
}

export function createSeats({ perUserMax, perTenantMax }: SeatLimits): Seats {
  const taken = new Map<string, number>();

  function release(key: string): void {
    const left = (taken.get(key) ?? 1) - 1;
    if (left > 0) taken.set(key, left);
    else taken.delete(key);
  }

  return {
    take(token) {
      const [user, tenant] = [seatKeyOf(token), token.viewer.orgId];
      const [ofUser, ofTenant] = [taken.get(user) ?? 0, taken.get(tenant) ?? 0];
      if (ofUser >= perUserMax || ofTenant >= perTenantMax) return null;
      taken.set(user, ofUser + 1);
      taken.set(tenant, ofTenant + 1);
      let isGivenBack = false;
      return () => {
        if (isGivenBack) return;
        isGivenBack = true;
        release(user);
        release(tenant);
      };
    },
  };
}
