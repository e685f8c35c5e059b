import { type OperatorCommand, UsageError } from '@taskflow/kit/command';
import { readOrgConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';
import { setStatus } from '../domain/suspension.ts';

export const command: OperatorCommand = {
  summary: 'Lets the people of a suspended organisation sign in again.',
  usage: '<short name or id>',
  async run([reference, ...others], { env, out }) {
    if (!reference || others.length > 0) throw new UsageError('name one organisation');
    const { store, close } = openStore(readOrgConfig(env));
    try {
      const changed = await setStatus(store, reference, 'ACTIVE');
      out(changed ? `${changed.slug} (${changed.id}) works again` : `${reference} was not suspended`);
    } finally {
      await close();
    }
  },
};
