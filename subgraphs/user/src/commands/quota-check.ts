import { quotaCheck } from '@taskflow/kit/quota-command';
import { readUserConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';

export const command = quotaCheck('members', (env) => {
  const { store, close } = openStore(readUserConfig(env));
  return { compare: store.usage.compare, close };
});
