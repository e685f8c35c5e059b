/**
 * The other contender: @apollo/gateway behind @apollo/server, as its documentation sets it up.
 *
 *   node bench/router/stock.ts SUPERGRAPH-FILE PORT
 */
import { readFileSync } from 'node:fs';
import { ApolloGateway } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';

const [file = '', port = ''] = process.argv.slice(2);
const supergraphSdl = readFileSync(file, 'utf8');
const gateway = new ApolloGateway({ supergraphSdl });
const server = new ApolloServer({ gateway });
const { url } = await startStandaloneServer(server, { listen: { port: Number(port), host: '127.0.0.1' } });
process.stdout.write(`stock listens on ${url}\n`);
