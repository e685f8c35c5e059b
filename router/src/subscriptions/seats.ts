/** How many sockets each person holds open on this router, and the bound. Keys contain the tenant. */
export interface Seats {
  /** A seat for `key`, given back by the returned function; null when all of its seats are taken. */
  take(key: string): (() => void) | null;
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
