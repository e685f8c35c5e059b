/** One administrator of one organisation, with a key of this run: what the router needs to know somebody. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';

export interface Identity {
  token: string;
  /** The key set that verifies it. */
  jwks: string;
  issuer: string;
  audience: string;
}

/** Longer than any run. */
const LIFETIME_S = 3 * 3600;

export function createIdentity(): Identity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [kid, issuer, audience] = ['bench', 'taskflow-bench', 'taskflow-bench-api'];
  const token = jsonwebtoken.sign(
    { sub: randomUUID(), org_id: randomUUID(), sid: randomUUID(), role: 'ORG_ADMIN', ep: 1 },
    privateKey,
    {
      algorithm: 'ES256',
      keyid: kid,
      header: { alg: 'ES256', typ: 'at+jwt' },
      issuer,
      audience,
      expiresIn: LIFETIME_S,
    },
  );
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
  return { token, jwks: JSON.stringify({ keys: [jwk] }), issuer, audience };
}
