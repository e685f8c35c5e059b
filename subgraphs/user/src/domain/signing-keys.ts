/**
 * The keys that sign access tokens: made by the first replica that finds none, shared by all through the database, the
 * private halves under AES-256-GCM. A rotation refuses no token, because nobody meets a key that they could not know:
 *
 *   published (NEXT) ── announceMs ──▶ signs (ACTIVE) ── the next one's time has come ──▶ RETIRED ── 1 hour ──▶ forgotten
 *   └─ every replica's JWKS names it within rereadMs, every router has it ─┘              └─ its last token expires ─┘
 *
 * Whichever replica reads first after that time promotes; the others sign with the old key for up to `rereadMs` more,
 * and it stays in the JWKS.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import type { NewSigningKey, SigningKeyRow } from '../data/signing-keys.ts';
import type { UserStore } from '../data/store.ts';

export interface SigningKeys {
  /** Makes sure that there is a key, and reads it. Call before serving. */
  start(): Promise<void>;
  /** The key to sign with. */
  active(): Promise<{ kid: string; key: KeyObject }>;
  /** The public halves, as RFC 7517 has it. */
  jwks(): Promise<{ keys: Record<string, unknown>[] }>;
}

export interface SigningKeyRule {
  /** Encrypts the private halves. */
  readonly secret: string;
  /** How old a replica's knowledge of the keys may be. */
  readonly rereadMs: number;
}

interface Known {
  active: { kid: string; key: KeyObject };
  publicJwks: Record<string, unknown>[];
  readAt: number;
}

export function createSigningKeys(
  store: UserStore['signingKeys'],
  { secret, rereadMs }: SigningKeyRule,
): SigningKeys {
  const wrappingKey = wrappingKeyOf(secret);
  let known: Known | null = null;
  let reading: Promise<Known> | null = null;

  async function read(): Promise<Known> {
    let rows = await store.listUsable();
    if (rows[0]?.status !== 'ACTIVE') {
      await store.insertActive(makeKey(wrappingKey));
      rows = await store.listUsable();
    }
    if (rows.some((row) => row.isDue)) {
      await store.promoteDue();
      rows = await store.listUsable();
    }
    const [active] = rows;
    if (active?.status !== 'ACTIVE') throw new Error('there is no active signing key');
    // The same row as before is not decrypted again.
    const kept = known?.active.kid === active.kid ? known.active : null;
    const current = kept ?? { kid: active.kid, key: unwrap(wrappingKey, active) };
    return { active: current, publicJwks: rows.map((row) => row.publicJwk), readAt: performance.now() };
  }

  /** While the database is away the keys that are known stay good. */
  async function fresh(): Promise<Known> {
    if (known && performance.now() - known.readAt < rereadMs) return known;
    reading ??= read().finally(() => {
      reading = null;
    });
    try {
      known = await reading;
    } catch (error) {
      if (!known) throw error;
    }
    return known;
  }

  return {
    async start() {
      await fresh();
    },
    active: async () => (await fresh()).active,
    jwks: async () => ({ keys: (await fresh()).publicJwks }),
  };
}

/**
 * Publishes a new key, which takes over by itself after `announceMs`: longer than replicas take to reread and routers to
 * ask. Null when one is waiting for its time already.
 */
export async function publishNextKey(
  store: UserStore['signingKeys'],
  { secret, announceMs }: { secret: string; announceMs: number },
): Promise<SigningKeyRow | null> {
  return store.insertNext(makeKey(wrappingKeyOf(secret)), announceMs);
}

const wrappingKeyOf = (secret: string) =>
  Buffer.from(hkdfSync('sha256', secret, '', 'taskflow signing keys', 32));

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A new P-256 key, named by its RFC 7638 thumbprint. */
function makeKey(wrappingKey: Buffer): NewSigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', wrappingKey, iv, { authTagLength: TAG_BYTES });
  // The key id is bound in, so that no row can pass for another.
  cipher.setAAD(Buffer.from(kid));
  const sealed = [cipher.update(privateKey.export({ format: 'der', type: 'pkcs8' })), cipher.final()];
  return {
    kid,
    publicJwk: { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' },
    privateKeyEncrypted: Buffer.concat([iv, ...sealed, cipher.getAuthTag()]),
  };
}

function unwrap(wrappingKey: Buffer, { kid, privateKeyEncrypted }: SigningKeyRow): KeyObject {
  const bytes = Buffer.from(privateKeyEncrypted);
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(kid));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const sealed = bytes.subarray(IV_BYTES, -TAG_BYTES);
    const der = Buffer.concat([decipher.update(sealed), decipher.final()]);
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch {
    throw new Error(
      `the signing key ${kid} cannot be decrypted: USER_SIGNING_KEY_SECRET is not the one that it was made with`,
    );
  }
}
