import { type OperatorCommand, UsageError } from '@taskflow/kit/command';
import { readUserConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';
import type { UserStore } from '../data/store.ts';
import { publishNextKey } from '../domain/signing-keys.ts';

const POLL_MS = 250;

export const command: OperatorCommand = {
  summary: 'Publishes a new key for access tokens, which takes over by itself without a refused token.',
  usage: '[--wait]',
  async run(args, { env, out }) {
    const isWaiting = args[0] === '--wait';
    if (args.length > (isWaiting ? 1 : 0)) throw new UsageError(`unexpected: ${args.join(' ')}`);
    const config = readUserConfig(env);
    const { store, close } = openStore(config);
    try {
      const key = await publishNextKey(store.signingKeys, {
        secret: config.USER_SIGNING_KEY_SECRET,
        announceMs: config.USER_SIGNING_KEY_ANNOUNCE_MS,
      });
      if (!key) throw new Error('another new key waits for its time already: see `keys list`');
      out(`${key.kid} is published; it signs from ${key.activatesAt?.toISOString()}`);
      if (!isWaiting) return;
      await untilSigning(store.signingKeys, key.kid);
      out(`${key.kid} signs`);
    } finally {
      await close();
    }
  },
};

/** Promotes it as well as the service does, which may not be running. */
async function untilSigning(keys: UserStore['signingKeys'], kid: string): Promise<void> {
  for (;;) {
    const key = (await keys.listUsable()).find((row) => row.kid === kid);
    if (key?.status !== 'NEXT') return;
    if (key.isDue) await keys.promoteDue();
    else await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
