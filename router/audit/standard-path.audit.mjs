/** Apollo Server's suite for integrations, over the standard path: no case is left out. */
import { ApolloServer } from '@apollo/server';
import { defineIntegrationTestSuite } from '@apollo/server-integration-testsuite';
import { serve } from './edge.mjs';

defineIntegrationTestSuite(async (config, options) => {
  const server = new ApolloServer(config);
  await server.start();
  const { url, close } = await serve(server, async () => (await options?.context?.()) ?? {});
  return { server, url, extraCleanup: close };
});
