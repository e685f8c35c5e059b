/**
 * Secrets that travel through what is not secret: a token inside a fact, hence in an outbox, a stream, a dead letter.
 *
 *   seal(text, binding)  ──▶  <key id>.<base64url of nonce · ciphertext · tag>
 *   open(sealed, binding) ─▶  the text; null for anything else: another key, another binding, a changed byte
 *
 * AES-256-GCM under a key that HKDF-SHA256 derives from the ring's secret, so that the same secret may serve elsewhere.
 * The binding (what the text is for, and for whom) is authenticated and not stored: a sealed text that is moved to another
 * place does not open. The first key of the ring seals, all open: two while rotating.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyRing } from './config.ts';

export interface Sealer {
  /** Another sealed text each time, also for the same text. */
  seal(text: string, binding: string): string;
  /** Null unless `seal` made it, under a key of the ring and with this binding. Never throws. */
  open(sealed: string, binding: string): string | null;
}

/** 96 bits, as GCM wants them; random ones are good for 2^32 texts under one key (NIST SP 800-38D §8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Secrets are short; what is longer was not sealed here. */
const SEALED_LENGTH_MAX = 8_192;

export function createSealer(ring: KeyRing): Sealer {
  const keys = ring.map(({ id, secret }) => ({
    id,
    key: createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'taskflow seal', 32))),
  }));
  const [sealing] = keys;
  if (!sealing) throw new Error('an empty key ring cannot seal');

  return {
    seal(text, binding) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', sealing.key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(binding, 'utf8'));
      const body = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `${sealing.id}.${body.toString('base64url')}`;
    },

    open(sealed, binding) {
      const [id, text, ...rest] = sealed.length > SEALED_LENGTH_MAX ? [] : sealed.split('.');
      const key = keys.find((candidate) => candidate.id === id)?.key;
      if (!key || !text || rest.length > 0) return null;
      const body = Buffer.from(text, 'base64url');
      if (body.length < NONCE_BYTES + TAG_BYTES) return null;
      try {
        const nonce = body.subarray(0, NONCE_BYTES);
        const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(Buffer.from(binding, 'utf8'));
        decipher.setAuthTag(body.subarray(-TAG_BYTES));
        const opened = [decipher.update(body.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()];
        return Buffer.concat(opened).toString('utf8');
      } catch {
        return null;
      }
    },
  };
}
