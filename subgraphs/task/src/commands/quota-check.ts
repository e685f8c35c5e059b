import { quotaCheck } from '@taskflow/kit/quota-command';
import { readTaskConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';

export const command = quotaCheck('tasks', (env) => {
  const { store, close } = openStore(readTaskConfig(env));
  return { compare: store.usage.compare, close };
});
