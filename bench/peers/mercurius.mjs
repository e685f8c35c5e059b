/**
 * Mercurius in front of the shop's subgraphs. It speaks federation 1, so that TaskFlow's own supergraph is beyond it.
 *
 *   node bench/peers/mercurius.mjs '[{"name":"accounts","url":"http://…","schema":"…"}, …]' PORT
 */
import mercuriusGateway from '@mercuriusjs/gateway';
import Fastify from 'fastify';

const [services = '[]', port = '0'] = process.argv.slice(2);
const app = Fastify();
app.register(mercuriusGateway, {
  jit: 1,
  gateway: {
    services: JSON.parse(services).map((service) => ({ ...service, mandatory: true, connections: 64 })),
  },
});
await app.listen({ port: Number(port), host: '127.0.0.1' });
process.stdout.write('mercurius listens on http\n');
