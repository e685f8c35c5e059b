// How long each hostile request holds the event loop:   node router/test/measure-hostile.ts
//
// Each runs through the pipeline alone, bytes in hand, nothing else in the process: it waits for nothing outside, so what
// its thread spends between its start and its refusal is time in which nobody else is served. Processor time of the thread, so that
// neighbours on the machine do not count. The first time and the median of many.

import { readFileSync } from 'node:fs';
import { createLog } from '@taskflow/kit/log';
import { readRouterConfig } from '../src/config.ts';
import { createExchange } from '../src/exchange.ts';
import { loadSupergraph } from '../src/gateway/loaded-supergraph.ts';
import { createPipeline } from '../src/pipeline.ts';
import { hostile } from './hostile-documents.ts';

const RUNS = 30;
const log = createLog({ process: 'measure', level: 'silent' });
const config = { ...readRouterConfig({ ROUTER_ADDRESS_REQUESTS_PER_S: '0' }), redisUrl: null };
const supergraph = await loadSupergraph({
  sdl: readFileSync(new URL('../../schema/supergraph.graphql', import.meta.url), 'utf8'),
  subgraphUrls: {},
  plansMax: 10,
  call: () => Promise.reject(new Error('a subgraph was called')),
  log,
});
const pipeline = createPipeline({ config, supergraph: { current: () => supergraph }, tokens: null, log });

async function blockedMs(bytes: Buffer): Promise<{ ms: number; code: unknown }> {
  const exchange = createExchange({
    ...{ transport: 'http', clientAddress: '192.0.2.1', authorization: undefined },
    headers: { 'content-type': 'application/json' },
    http: {
      ...{ method: 'POST', search: '', body: undefined },
      readBody: async (bytesMax) => (bytes.length > bytesMax ? bytes.subarray(0, bytesMax) : bytes),
    },
  });
  const before = process.threadCpuUsage();
  const answer = (await pipeline.prepare(exchange)) ?? (await pipeline.execute(exchange));
  const { user, system } = process.threadCpuUsage(before);
  return { ms: (user + system) / 1000, code: answer.body?.errors?.[0]?.extensions?.code };
}

/** The compiler has seen an ordinary operation, as in any process that serves. */
await blockedMs(Buffer.from(JSON.stringify({ query: '{ unknown }' })));

const rows = [];
for (const { name, body } of hostile) {
  const bytes = Buffer.from(body);
  const { ms: first, code } = await blockedMs(bytes);
  const later: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await new Promise((resolve) => setImmediate(resolve));
    later.push((await blockedMs(bytes)).ms);
  }
  const median = later.sort((a, b) => a - b)[RUNS / 2] ?? 0;
  rows.push({ name, kB: Math.ceil(bytes.length / 1000), code, first, median });
}
rows.sort((a, b) => b.median - a.median);
process.stdout.write('| request | kB | refused with | first, ms | median, ms |\n|---|---:|---|---:|---:|\n');
for (const { name, kB, code, first, median } of rows) {
  process.stdout.write(`| ${name} | ${kB} | ${code} | ${first.toFixed(1)} | ${median.toFixed(1)} |\n`);
}
