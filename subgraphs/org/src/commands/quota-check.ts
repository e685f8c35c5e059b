import { quotaCheck } from '@taskflow/kit/quota-command';
import { readOrgConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';

export const command = quotaCheck('projects', (env) => {
  const { store, close } = openStore(readOrgConfig(env));
  return { compare: store.usage.compare, close };
});
