/** The same with the planner and executor that Hive calls its router runtime, and with its own merging of identical requests. */
import { defineConfig } from '@graphql-hive/gateway';
import { unifiedGraphHandler } from '@graphql-hive/router-runtime';

export const gatewayConfig = defineConfig({
  logging: false,
  landingPage: false,
  graphiql: false,
  unifiedGraphHandler,
});
