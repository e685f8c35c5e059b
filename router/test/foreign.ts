/**
 * Somebody else's subgraphs, in this process: plain GraphQL over HTTP and graphql-ws, none of TaskFlow's conventions, and
 * every request that reaches them is written down.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { graphql, parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { anonymousConfig, type RouterConfig } from '../src/config.ts';
import { createRouter, type Router, type RouterDeps } from '../src/server.ts';
import { composed, log, writeSupergraph } from './fixture.ts';

export interface ForeignSubgraph {
  readonly name: string;
  readonly url: string;
  readonly sdl: string;
  /** Requests in the order in which they came. */
  readonly calls: { query: string; variables: Record<string, unknown> }[];
  stop(): Promise<void>;
}

export async function aForeignSubgraph(
  name: string,
  sdl: string,
  resolvers: object = {},
): Promise<ForeignSubgraph> {
  const schema = buildSubgraphSchema([{ typeDefs: parse(sdl), resolvers: resolvers as never }]);
  const calls: ForeignSubgraph['calls'] = [];
  const server = createServer(async (request, response) => {
    const { query, variables = {}, operationName } = JSON.parse(await text(request));
    calls.push({ query, variables });
    const answer = await graphql({ schema, source: query, variableValues: variables, operationName });
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  useServer(
    {
      schema,
      onSubscribe: (_context, _id, { query, variables }) => {
        calls.push({ query, variables: variables ?? {} });
      },
    },
    new WebSocketServer({ server }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(stop);
  return {
    name,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
    sdl,
    calls,
    stop,
  };
}

export const composedOf = (subgraphs: readonly ForeignSubgraph[]): string => composed(subgraphs);

/** A started router without accounts in front of them. */
export async function aForeignRouter(
  subgraphs: readonly ForeignSubgraph[],
  options: {
    env?: NodeJS.ProcessEnv;
    change?: (config: RouterConfig) => RouterConfig;
    deps?: RouterDeps;
  } = {},
): Promise<Router> {
  const { env, change = (config) => config, deps } = options;
  const config = anonymousConfig({
    ROUTER_PORT: '0',
    ROUTER_SUPERGRAPH_FILE: await writeSupergraph(subgraphs),
    ROUTER_SUPERGRAPH_POLL_MS: '0',
    ...env,
  });
  const router = createRouter(change(config), { log, ...deps });
  await router.start();
  onTestFinished(() => router.stop());
  return router;
}
