/** One PostgreSQL and one Redis for the whole run; a file gets its database by `aDatabase`, its prefix by `aRedis`. */
import { startTestPostgres } from './postgres-server.ts';
import { startTestRedis } from './redis.ts';

export default async function setup(): Promise<() => Promise<void>> {
  const starts = await Promise.allSettled([startTestPostgres(), startTestRedis()]);
  const servers = starts.filter((start) => start.status === 'fulfilled').map((start) => start.value);
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const failure = starts.find((start) => start.status === 'rejected');
  if (failure) {
    await stop();
    throw failure.reason;
  }
  return stop;
}
