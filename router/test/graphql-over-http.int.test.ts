/**
 * The audits of GraphQL over HTTP (graphql-http) on both paths, beside a stock Apollo Server in the same run: nothing that
 * must be is missed, and nothing that should be is missed where the stock server has it.
 */
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { serverAudits } from 'graphql-http';
import { expect, it, onTestFinished } from 'vitest';
import { aRouter, aSupergraph } from './fixture.ts';

/** What became of each audit, by its name. */
async function audited(url: string): Promise<Map<string, string>> {
  const audits = serverAudits({ url, fetchFn: fetch });
  const found = new Map<string, string>();
  for (const { name, fn } of audits) found.set(name, (await fn()).status);
  return found;
}

async function aStockServer(): Promise<string> {
  const server = new ApolloServer({ typeDefs: 'type Query { health: String }' });
  const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
  onTestFinished(() => server.stop());
  return url;
}

const GRAVITY = ['ok', 'notice', 'warn', 'error'];

it('is spoken over both paths as a stock Apollo Server speaks it, or better', async () => {
  const supergraph = await aSupergraph();
  const hot = await aRouter(supergraph);
  const standard = await aRouter(supergraph, undefined, { plugins: [{}] });
  const stock = await audited(await aStockServer());
  expect(stock.size).toBeGreaterThan(50);
  for (const router of [hot, standard]) {
    const found = await audited(`${router.url}/graphql`);
    expect([...found].filter(([, status]) => status === 'error')).toEqual([]);
    const worse = [...found].filter(
      ([name, status]) => GRAVITY.indexOf(status) > GRAVITY.indexOf(stock.get(name) ?? 'ok'),
    );
    expect(worse).toEqual([]);
  }
});
