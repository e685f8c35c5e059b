// The router as a process:   npm run --silent router -- [--supergraph FILE] [--port N] [--anonymous]

import { parseArgs } from 'node:util';
import { runProcess, type Service } from '@taskflow/kit/process';
import { anonymousConfig, type RouterConfig, readRouterConfig } from './config.ts';
import { createRouter } from './server.ts';

const HELP = `Usage: router [options]

Serves a federated supergraph at http://HOST:PORT/graphql, over HTTP and WebSocket.

  --supergraph FILE   the composed supergraph, a file or an address that is polled
                      (default: ROUTER_SUPERGRAPH_FILE, schema/supergraph.graphql)
  --port N            port to listen on (default: ROUTER_PORT, PORT, 4000)
  --host ADDRESS      address to listen on (default: ROUTER_HOST, 127.0.0.1)
  --anonymous         serve any supergraph at the addresses in it: no authentication, no signed
                      context, no Redis, generous limits
  --help              this text

Everything else is set by environment variables; see router/README.md.
`;

interface Args {
  supergraph?: string | undefined;
  port?: string | undefined;
  host?: string | undefined;
  anonymous?: boolean | undefined;
  help?: boolean | undefined;
}

function argsOf(argv: string[]): Args {
  return parseArgs({
    args: argv,
    options: {
      supergraph: { type: 'string' },
      port: { type: 'string' },
      host: { type: 'string' },
      anonymous: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  }).values;
}

function configOf({ supergraph, port, host, anonymous }: Args): RouterConfig {
  const env = {
    ...process.env,
    ...(supergraph === undefined ? {} : supergraphEnv(supergraph)),
    ...(port === undefined ? {} : { ROUTER_PORT: port }),
    ...(host === undefined ? {} : { ROUTER_HOST: host }),
  };
  return anonymous ? anonymousConfig(env) : readRouterConfig(env);
}

/** What names the supergraph on the command line stands above the environment. */
function supergraphEnv(supergraph: string) {
  return /^https?:\/\//.test(supergraph)
    ? { ROUTER_SUPERGRAPH_URL: supergraph }
    : { ROUTER_SUPERGRAPH_URL: '', ROUTER_SUPERGRAPH_FILE: supergraph };
}

/** SIGUSR2 takes this replica out of the balancer, and a second one gives it back. */
function serviceOf(argv: string[]): Service {
  const router = createRouter(configOf(argsOf(argv)));
  process.on('SIGUSR2', () => router.toggleDrained());
  return router;
}

if (process.argv.slice(2).some((arg) => arg === '--help' || arg === '-h')) {
  process.stdout.write(HELP);
} else {
  await runProcess('router', () => serviceOf(process.argv.slice(2)));
}
