/**
 * The four subgraphs of a world, in one process and from memory: the gateways are to be measured, not these. A
 * request is executed by graphql-js the first time it is seen; from then on its answer is replayed, byte for byte.
 *
 *   node bench/router/subgraphs.ts taskflow|shop [JWKS]   prints {"user":"http://…","org":…} when all four listen
 *
 * JWKS is served as the key set of access tokens by every one of them.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { subgraphNames, subgraphSdl } from '@taskflow/schema/sdl';
import { type GraphQLSchema, graphql, parse } from 'graphql';
import { shopResolvers, shopSdl, shopSubgraphs } from './shop.ts';
import { resolversOf } from './world.ts';

/** 96 worlds, five texts of fetches each for as many contenders; more mean that answers are not replayed at all. */
const ANSWERS_MAX = 20_000;
/** Longer than a run pauses between two rounds of a gateway: no connection ends in the middle of one. */
const KEEP_ALIVE_MS = 65_000;

const [world = 'taskflow', jwks = '{"keys":[]}'] = process.argv.slice(2);
const schemas =
  world === 'shop'
    ? shopSubgraphs.map((name) => ({ name, typeDefs: parse(shopSdl[name]), resolvers: shopResolvers[name] }))
    : subgraphNames.map((name) => ({
        name,
        typeDefs: parse(subgraphSdl(name)),
        resolvers: resolversOf[name],
      }));

async function serve(name: string, schema: GraphQLSchema): Promise<string> {
  const answers = new Map<string, Buffer>();
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, async (request, response) => {
    const body = request.method === 'GET' ? '' : await readBody(request);
    const answer = body === '' ? Buffer.from(jwks) : (answers.get(body) ?? (await answerTo(schema, body)));
    if (body !== '') answers.set(body, answer);
    if (answers.size > ANSWERS_MAX) throw new Error(`${name} was asked too many different things`);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
    response.end(answer);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

async function answerTo(schema: GraphQLSchema, body: string): Promise<Buffer> {
  const { query, variables, operationName } = JSON.parse(body);
  const result = await graphql({ schema, source: query, variableValues: variables, operationName });
  return Buffer.from(JSON.stringify(result));
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => resolve(Buffer.concat(chunks).toString()));
    request.once('error', reject);
  });
}

const urls = await Promise.all(
  schemas.map(
    async ({ name, typeDefs, resolvers }) =>
      [name, await serve(name, buildSubgraphSchema([{ typeDefs, resolvers }]))] as const,
  ),
);
process.stdout.write(`${JSON.stringify(Object.fromEntries(urls))}\n`);
