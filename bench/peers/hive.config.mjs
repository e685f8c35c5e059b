/** Hive Gateway in its documented form; what it would do beside answering (logs, pages) is off, as it is for the others. */
import { defineConfig } from '@graphql-hive/gateway';

export const gatewayConfig = defineConfig({ logging: false, landingPage: false, graphiql: false });
