import { startInstallation } from '../installation.ts';
import type { PartContext, PartResult } from '../part.ts';
import { ms, table, times, whole } from '../tables.ts';
import { makeTenant } from '../tenant.ts';
import { measureFanout } from './fanout.ts';

const TASKS = 100;
/** Executing once for each takes so long that fewer listeners tell it, too. */
const EACH_SHARE = 0.1;

/** Two administrators stand for thousands: what the caps are against. */
const UNCAPPED = Object.fromEntries(
  [
    ...['SOCKETS_PER_USER_MAX', 'SOCKETS_PER_TENANT_MAX', 'SOCKETS_PER_S'],
    ...['SOCKET_OPERATIONS_PER_USER_MAX', 'SOCKET_OPERATIONS_PER_TENANT_MAX'],
  ].map((cap) => [`ROUTER_${cap}`, '1000000']),
);

export async function run({ dir, options, stops, say }: PartContext): Promise<PartResult> {
  say('starting PostgreSQL, Redis, the four subgraphs and the router');
  const installation = await startInstallation(dir, stops, UNCAPPED);
  stops.checkpoint();
  const tenant = await makeTenant(installation, { tasks: TASKS, tenants: 1, pages: 0 });
  const { listeners } = options;
  say(`${whole(listeners)} connections that hear the same`);
  const once = await measureFanout(installation, tenant, { name: 'once for all', listeners }, stops);
  const few = Math.max(1, Math.round(listeners * EACH_SHARE));
  say(`${whole(few)} connections that each hear their own`);
  const each = await measureFanout(installation, tenant, { name: 'once for each', listeners: few }, stops);
  const ratio = once.listenersPerSecond / each.listenersPerSecond;
  return {
    result: { figures: [once, each], ratio },
    tables: [
      'One change of a task to all who listen; services, router and Redis on the machine of the listeners',
      table(
        ['executed', 'listeners', 'listeners/s', 'p50', 'p99', 'heap a connection'],
        [
          ...[once, each].map(({ name, listeners, listenersPerSecond, p50Ms, p99Ms, bytesPerConnection }) => [
            name,
            ...[whole(listeners), whole(listenersPerSecond), ms(p50Ms), ms(p99Ms)],
            bytesPerConnection > 0 ? `${(bytesPerConnection / 1_000).toFixed(1)} kB` : '–',
          ]),
          ['once for all ÷ once for each', '', times(ratio), '', '', ''],
        ],
      ),
    ],
  };
}
