/** Ports: whether the wanted ones are free, before anything is started, and free ones for tests. */
import { once } from 'node:events';
import { createServer } from 'node:net';

export interface WantedPort {
  /** The variable that moves it. */
  variable: string;
  host: string;
  port: number;
}

/** One message for all that are taken or not allowed; resolves to null when every port can be had. */
export async function findPortProblem(wanted: readonly WantedPort[]): Promise<string | null> {
  const problems = await Promise.all(wanted.map(problemOf));
  const lines = problems.filter((line) => line !== null);
  return lines.length > 0 ? lines.join('\n') : null;
}

async function problemOf({ variable, host, port }: WantedPort): Promise<string | null> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const cause =
      code === 'EADDRINUSE'
        ? 'is taken by another process'
        : code === 'EACCES'
          ? 'is not allowed for this user'
          : `cannot be used (${message})`;
    return `port ${port} on ${host} ${cause}: free it, or choose another with ${variable}`;
  }
}

/** Distinct ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      server.close();
      await once(server, 'close');
      if (address === null || typeof address === 'string') throw new Error('no free port');
      return address.port;
    }),
  );
}
