import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';

/** OWASP’s recommendation for argon2id: 19 MiB, two passes, one lane. Measured: 11 ms on one core. */
const COST: Cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export interface Cost {
  /** In KiB. */
  readonly memoryCost: number;
  /** Passes over it. */
  readonly timeCost: number;
  readonly parallelism: number;
}

export interface Passwords {
  hash(password: string): Promise<string>;
  /** The hash of a password that nobody knows: signing in with one costs the same work, and asking for a new one works. */
  unusable(): Promise<string>;
  /** False for a wrong password; without a hash (null) false as well, after the same work. */
  verify(passwordHash: string | null, password: string): Promise<boolean>;
  /** Whether a hash was made with other parameters than those of today, and is to be made again. */
  isStale(passwordHash: string): boolean;
  /** Makes the hash that unknown accounts are verified against, so that the first of them takes no longer. */
  warmUp(): Promise<void>;
}

/** argon2id, in the thread pool. A password counts as the same however its accents were composed. */
export function createPasswords(cost: Cost = COST): Passwords {
  const dummies = new Map<number, Promise<string>>();
  /** A hash of nothing that anybody knows; `memoryCost` where it is to cost less than one of today. */
  const dummyOf = (memoryCost = cost.memoryCost) => {
    const dummy = dummies.get(memoryCost) ?? hash(randomBytes(32), { ...cost, memoryCost });
    dummies.set(memoryCost, dummy);
    return dummy;
  };
  return {
    hash: (password) => hash(password.normalize('NFKC'), cost),
    unusable: () => hash(randomBytes(32), cost),
    async verify(passwordHash, password) {
      const text = password.normalize('NFKC');
      const isRight = (await verify(passwordHash ?? (await dummyOf()), text)) && passwordHash !== null;
      // A wrong password for an old, cheaper hash: what is missing is spent, or such an account would answer sooner.
      const missing = isRight || passwordHash === null ? 0 : missingOf(costOf(passwordHash), cost);
      if (missing > 0) await verify(await dummyOf(missing), text);
      return isRight;
    },
    isStale(passwordHash) {
      const { memoryCost, timeCost, parallelism } = costOf(passwordHash);
      return memoryCost !== cost.memoryCost || timeCost !== cost.timeCost || parallelism !== cost.parallelism;
    },
    async warmUp() {
      await dummyOf();
    },
  };
}

const PARAMETERS = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$/;
/** Less is not worth a call, nor allowed: argon2 takes 8 KiB a lane at least. */
const MISSING_KIB_MIN = 64;

/** Zeros for a hash of another kind. */
function costOf(passwordHash: string): Cost {
  const [, memoryCost = '0', timeCost = '0', parallelism = '0'] = PARAMETERS.exec(passwordHash) ?? [];
  return { memoryCost: Number(memoryCost), timeCost: Number(timeCost), parallelism: Number(parallelism) };
}

/** The memory whose filling, at today's passes, makes up for a cheaper hash; the time is the product of the two. */
function missingOf(then: Cost, now: Cost): number {
  const missing = Math.round(now.memoryCost - (then.memoryCost * then.timeCost) / now.timeCost);
  return missing < MISSING_KIB_MIN ? 0 : missing;
}
