/**
 * The stock gateway, tuned: the same @apollo/gateway and @apollo/server, with what their documentation leaves to the
 * operator: undici's pooled connections in place of the default fetcher, and a plain HTTP server in place of Express.
 *
 *   node bench/router/tuned.ts SUPERGRAPH-FILE PORT
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloServer, HeaderMap } from '@apollo/server';
import { Pool } from 'undici';

const [file = '', port = ''] = process.argv.slice(2);
const pools = new Map<string, Pool>();
const CONNECTIONS = 64;

/** As much of the fetch API as the gateway's data source uses. */
async function fetcher(url: string, init: { method?: string; headers?: unknown; body?: unknown } = {}) {
  const { origin, pathname } = new URL(url);
  const pool = pools.get(origin) ?? new Pool(origin, { connections: CONNECTIONS, pipelining: 1 });
  pools.set(origin, pool);
  const { statusCode, headers, body } = await pool.request({
    path: pathname,
    method: 'POST',
    headers: init.headers as Record<string, string>,
    body: init.body as string,
  });
  return {
    url,
    status: statusCode,
    statusText: '',
    ok: statusCode >= 200 && statusCode < 300,
    headers: { get: (name: string) => headers[name.toLowerCase()] ?? null },
    json: () => body.json(),
    text: () => body.text(),
  };
}

const server = new ApolloServer({
  gateway: new ApolloGateway({
    supergraphSdl: readFileSync(file, 'utf8'),
    buildService: ({ url }) =>
      new RemoteGraphQLDataSource({ ...(url === undefined ? {} : { url }), fetcher: fetcher as never }),
  }),
});
await server.start();

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', async () => {
    const headers = new HeaderMap();
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
    const {
      status,
      headers: answered,
      body,
    } = await server.executeHTTPGraphQLRequest({
      httpGraphQLRequest: {
        method: request.method ?? 'POST',
        headers,
        search: '',
        body: JSON.parse(Buffer.concat(chunks).toString()),
      },
      context: async () => ({}),
    });
    const text = body.kind === 'complete' ? body.string : '';
    response.writeHead(status ?? 200, Object.fromEntries(answered)).end(text);
  });
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('tuned listens on http\n'));
