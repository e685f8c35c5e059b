import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { findPortProblem, freePorts } from './ports.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

it('names every taken port and the variable that moves it, in one message', async () => {
  const [taken = 0, free = 0] = await freePorts(2);
  const server = createServer().listen(taken, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const problem = await findPortProblem([
    { variable: 'TASK_PORT', host: '127.0.0.1', port: taken },
    { variable: 'ORG_PORT', host: '127.0.0.1', port: free },
    { variable: 'USER_PORT', host: '127.0.0.1', port: taken },
  ]);
  expect(problem?.split('\n')).toEqual([
    `port ${taken} on 127.0.0.1 is taken by another process: free it, or choose another with TASK_PORT`,
    `port ${taken} on 127.0.0.1 is taken by another process: free it, or choose another with USER_PORT`,
  ]);
});

it('finds nothing wrong with free ports, and gives them back', async () => {
  const ports = await freePorts(3);
  expect(new Set(ports).size).toBe(3);
  const wanted = ports.map((port) => ({ variable: 'X_PORT', host: '127.0.0.1', port }));
  expect(await findPortProblem(wanted)).toBeNull();
  expect(await findPortProblem(wanted)).toBeNull();
});
