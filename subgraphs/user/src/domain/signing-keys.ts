/**
 * The keys that sign access tokens: made by the first replica that finds none, shared by all through the database, the
 * private halves under AES-256-GCM. Every replica signs with the active key; its JWKS names the retired ones as well,
 * until their last token has expired.
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
import type { SigningKeyRow } from '../data/signing-keys.ts';
import type { UserStore } from '../data/store.ts';

export interface SigningKeys {
  /** Makes sure that there is a key, and reads it. Call before serving. */
  start(): Promise<void>;
  /** The key to sign with. */
  active(): Promise<{ kid: string; key: KeyObject }>;
  /** The public halves, as RFC 7517 has it. */
  jwks(): Promise<{ keys: Record<string, unknown>[] }>;
}

/** After a rotation, the other replicas sign with the old key for this long. It stays in the JWKS. */
const REREAD_MS = 60_000;

interface Known {
  active: { kid: string; key: KeyObject };
  publicJwks: Record<string, unknown>[];
  readAt: number;
}

export function createSigningKeys(store: UserStore['signingKeys'], secret: string): SigningKeys {
  const wrappingKey = Buffer.from(hkdfSync('sha256', secret, '', 'taskflow signing keys', 32));
  let known: Known | null = null;
  let reading: Promise<Known> | null = null;

  async function read(): Promise<Known> {
    let rows = await store.listUsable();
    if (rows[0]?.status !== 'ACTIVE') {
      await store.insertActive(makeKey(wrappingKey));
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
    if (known && performance.now() - known.readAt < REREAD_MS) return known;
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

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A new P-256 key, named by its RFC 7638 thumbprint. */
function makeKey(wrappingKey: Buffer): Omit<SigningKeyRow, 'status'> {
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
