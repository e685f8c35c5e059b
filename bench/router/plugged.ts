/**
 * TaskFlow's router with a plugin of Apollo Server that does nothing, hence on the standard path.
 *
 *   node bench/router/plugged.ts SUPERGRAPH-FILE PORT
 */
import { anonymousConfig } from '@taskflow/router/config';
import { createRouter } from '@taskflow/router/server';

const [file = '', port = ''] = process.argv.slice(2);
const config = anonymousConfig({ ROUTER_SUPERGRAPH_FILE: file, ROUTER_PORT: port });
const router = createRouter(config, { plugins: [{}] });
await router.start();
process.stdout.write(`listens on http ${router.url}\n`);
