import { type OperatorCommand, takeNoArguments } from '@taskflow/kit/command';
import { readUserConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';
import type { SigningKeyRow } from '../data/signing-keys.ts';

export const command: OperatorCommand = {
  summary: 'Shows the keys of access tokens that the key set names, the signing one first.',
  usage: '',
  async run(args, { env, out }) {
    takeNoArguments(args);
    const { store, close } = openStore(readUserConfig(env));
    try {
      const keys = await store.signingKeys.listUsable();
      for (const key of keys) out(`${key.kid}  ${key.status.padEnd(7)}  ${timeOf(key)}`);
      if (keys.length === 0) out('no key so far: the first start of the user service makes one');
    } finally {
      await close();
    }
  },
};

function timeOf({ status, createdAt, activatesAt, retiredAt }: SigningKeyRow): string {
  if (status === 'NEXT') return `signs from ${activatesAt?.toISOString()}`;
  if (status === 'RETIRED') return `retired ${retiredAt?.toISOString()}`;
  return `signs since ${(activatesAt ?? createdAt).toISOString()}`;
}
