import { type OperatorCommand, UsageError } from '@taskflow/kit/command';
import { readOrgConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';
import { setStatus } from '../domain/suspension.ts';

export const command: OperatorCommand = {
  summary: 'Signs everybody of an organisation out and lets nobody sign in; its data stays as it is.',
  usage: '<short name or id>',
  async run([reference, ...others], { env, out }) {
    if (!reference || others.length > 0) throw new UsageError('name one organisation');
    const { store, close } = openStore(readOrgConfig(env));
    try {
      const changed = await setStatus(store, reference, 'SUSPENDED');
      out(changed ? `${changed.slug} (${changed.id}) is suspended` : `${reference} is suspended already`);
    } finally {
      await close();
    }
  },
};
