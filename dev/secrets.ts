/**
 * The secrets of a local installation: random, made once, kept in one file that only its owner can read.
 *
 * Which ones are needed follows from the variables of the processes, so that a new secret needs no line here.
 * They belong to the databases beside them (signing keys are encrypted with one of them): the two are deleted
 * together or not at all.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VariableDescription } from '@taskflow/kit/config';

/** 256 bits, 43 characters: what HMAC-SHA256 and AES-256 take, and above every minimum of the config. */
const SECRET_BYTES = 32;

/** Every name with its value; makes and keeps those that the file does not have yet. */
export function keepSecrets(dir: string, names: readonly string[]): Record<string, string> {
  const file = join(dir, 'secrets.json');
  const secrets = read(file);
  const missing = names.filter((name) => secrets[name] === undefined);
  if (missing.length === 0) return secrets;
  for (const name of missing) secrets[name] = randomBytes(SECRET_BYTES).toString('base64url');
  // Written beside and renamed: a crash leaves the old file or the new one, never half of it.
  writeFileSync(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  chmodSync(`${file}.new`, 0o600); // the mode above is only used when the file is new
  renameSync(`${file}.new`, file);
  return secrets;
}

/** What the file holds; empty when there is none. */
export const readSecrets = (dir: string): Record<string, string> => read(join(dir, 'secrets.json'));

/** The variables that are keys: secret, needed, and not an address with a password inside. */
export function isKey(variable: VariableDescription): boolean {
  return variable.secret && variable.requiredInProduction && !variable.name.endsWith('_URL');
}

/** A key ring is written `<key id>:<secret>`, as its development default shows. */
export function valueOfKey(variable: VariableDescription, secret: string): string {
  return /^[\w-]+:/.test(variable.default ?? '') ? `local:${secret}` : secret;
}

function read(file: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    throw new Error(`${file} is not valid JSON. Restore it, or delete the whole folder to start afresh.`);
  }
}
