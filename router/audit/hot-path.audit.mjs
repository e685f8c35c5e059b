/**
 * Apollo Server's suite for integrations, over the hot path: the schema of each case is served by a subgraph of its own
 * behind the router as it is run for anybody's supergraph. Cases about options that only an Apollo Server has are left
 * out by name: not-on-the-hot-path.mjs.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeServices } from '@apollo/composition';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { defineIntegrationTestSuite } from '@apollo/server-integration-testsuite';
import { parse, printSchema } from 'graphql';
import { anonymousConfig } from '../src/config.ts';
import { createRouter } from '../src/server.ts';
import { log } from './edge.mjs';
import { withoutRequestIds } from './without-request-ids.mjs';

/** Options that a subgraph behind the router can have without the router knowing, or that say what the router does anyway. */
const MEANT_FOR_ANYBODY = [
  'schema',
  'typeDefs',
  'resolvers',
  'nodeEnv',
  'introspection',
  'includeStacktraceInErrorResponses',
  'stopOnTerminationSignals',
  'csrfPrevention',
  'persistedQueries',
  'logger',
  'cache',
];

defineIntegrationTestSuite(async (config, options) => {
  const others = Object.keys(config).filter((name) => !MEANT_FOR_ANYBODY.includes(name));
  if (config.persistedQueries === false) others.push('persistedQueries');
  if (others.length > 0 || options?.context)
    throw new Error(`of Apollo Server alone: ${others} ${options?.context ? 'context' : ''}`);
  const subgraph = new ApolloServer(config);
  const { url } = await startStandaloneServer(subgraph, { listen: { port: 0, host: '127.0.0.1' } });
  const folder = await mkdtemp(join(tmpdir(), 'taskflow-audit-'));
  const supergraphFile = join(folder, 'supergraph.graphql');
  await writeFile(supergraphFile, composed(ApolloServer.constructSchema(config), url));
  const router = createRouter(
    {
      ...anonymousConfig({}),
      port: 0,
      supergraphFile,
      introspection: config.introspection ?? config.nodeEnv !== 'production',
    },
    { log },
  );
  await router.start();
  const front = await withoutRequestIds(router.url);
  return {
    server: subgraph,
    url: `${front.url}/graphql`,
    async extraCleanup() {
      await front.close();
      await router.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
});

function composed(schema, url) {
  const { supergraphSdl, errors } = composeServices([
    { name: 'suite', url, typeDefs: parse(printSchema(schema)) },
  ]);
  if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
  return supergraphSdl;
}
