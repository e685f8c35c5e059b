/**
 * The four subgraphs of the comparison, in one process and from memory: the gateways are to be measured, not these. A
 * request is executed by graphql-js the first time it is seen; from then on its answer is replayed, byte for byte.
 *
 *   node bench/router/subgraphs.ts       prints {"user":"http://…","org":…} when all four listen
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type SubgraphName, subgraphNames, subgraphSdl } from '@taskflow/schema/sdl';
import { type GraphQLSchema, graphql, parse } from 'graphql';
import { resolversOf } from './world.ts';

/** A benchmark sends a hundred different requests; more mean that answers are not replayed at all. */
const ANSWERS_MAX = 1_000;
/** Longer than a run pauses between two rounds of a gateway: no connection ends in the middle of one. */
const KEEP_ALIVE_MS = 65_000;

async function serve(name: SubgraphName): Promise<string> {
  const schema = buildSubgraphSchema([{ typeDefs: parse(subgraphSdl(name)), resolvers: resolversOf[name] }]);
  const answers = new Map<string, Buffer>();
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, async (request, response) => {
    const body = await readBody(request);
    const answer = answers.get(body) ?? (await answerTo(schema, body));
    answers.set(body, answer);
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

const urls = await Promise.all(subgraphNames.map(async (name) => [name, await serve(name)] as const));
process.stdout.write(`${JSON.stringify(Object.fromEntries(urls))}\n`);
