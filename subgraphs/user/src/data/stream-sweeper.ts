import { sweepStreams } from '@taskflow/kit/forgetting';
import type { RedisConnections } from '@taskflow/kit/redis';
import { routesOf, type Source, sources } from '@taskflow/schema/events';

export interface Trace {
  readonly userId: string;
  readonly address: string;
  readonly name: string;
}

export type StreamSweeper = ReturnType<typeof createStreamSweeper>;

/** Takes a person out of the work streams: of all services, since what was gathered about somebody passes through each. */
export function createStreamSweeper(redis: Pick<RedisConnections, 'commands' | 'keys'>) {
  return {
    /** How many entries must wait, because a service has not handled them yet. */
    async sweep({ userId, address, name }: Trace): Promise<number> {
      const [addressText, nameText] = [JSON.stringify(address), JSON.stringify(name)];
      const matches = (fact: string) =>
        fact.includes(addressText) ||
        (fact.includes(userId) && (fact.includes(nameText) || fact.includes('-data.gathered"')));
      const waiting = await Promise.all(
        sources.map((source: Source) =>
          sweepStreams(redis, { source, consumers: routesOf(source).consumers, matches }),
        ),
      );
      return waiting.reduce((sum, count) => sum + count, 0);
    },
  };
}
