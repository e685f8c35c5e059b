/**
 * The table of `rules/`, tried: every operation × every role × ids of every kind, over HTTP and WebSocket.
 *
 *   MATRIX_KEPT_S=60 npx vitest run tests/isolation/matrix.e2e    the same while the router keeps every answer for its caller
 */
import { beforeAll, expect, it } from 'vitest';
import { lookBehind } from '../kit/behind.ts';
import { aSupergraph } from '../kit/supergraph.ts';
import { aWorld, tryMatrix, WIDE, type World } from './matrix/matrix.ts';
import { ROLES } from './rules/rule.ts';
import { fields, ids } from './rules/table.ts';

let world: World;

beforeAll(async () => {
  const ROUTER_CACHE_DEFAULT_MAX_AGE_S = process.env.MATRIX_KEPT_S ?? '0';
  const supergraph = await aSupergraph({ env: { ...WIDE, ROUTER_CACHE_DEFAULT_MAX_AGE_S }, isApart: true });
  world = await aWorld(supergraph, lookBehind(supergraph));
});

it('every operation, by every role, with ids of every kind, does what its rule says', async () => {
  const { findings, cases, operations, ms } = await tryMatrix(world);
  console.log(
    `isolation matrix: ${operations} operations, ${fields.size} fields, ${ids.size} ids × ${ROLES.length} roles: ` +
      `${cases} calls in ${(ms / 1000).toFixed(1)} s`,
  );
  expect(findings).toEqual([]);
}, 600_000);
