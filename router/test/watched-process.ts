/**
 * Loaded in front of a program (`node --import`): writes down whom the whole process looks up and connects to, its libraries
 * included, one `{ what, to }` a line, into the file WATCH_FILE. What would happen within the day happens every 50 ms.
 *
 * With WATCH_CONTROL=true the program cannot switch telemetry off: the control that this sees what there would be to see.
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const file = process.env.WATCH_FILE ?? '';
const note = (what: string, to: unknown) => appendFileSync(file, `${JSON.stringify({ what, to })}\n`);

// biome-ignore lint/suspicious/noExplicitAny: functions of many shapes, called through as they are
type Any = any;

/** `to` of the arguments of a call. */
function watch(owner: Any, name: string, to: (args: Any[]) => unknown): void {
  const real = owner[name];
  owner[name] = function (this: Any, ...args: Any[]) {
    note(name, to(args));
    return real.apply(this, args);
  };
}

// net.connect normalises its arguments into a list of its own before it hands them on.
const target = ([first]: Any[]) => {
  const options = Array.isArray(first) ? first[0] : first;
  return options?.path ?? `${options?.host ?? options?.hostname ?? 'localhost'}:${options?.port}`;
};
watch(net.Socket.prototype, 'connect', target);
watch(dgram.Socket.prototype, 'send', (args) => args.slice(1).filter((arg) => typeof arg !== 'function'));
for (const owner of [dns, dns.promises]) {
  for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6', 'resolveTxt']) {
    watch(owner, name, ([host]) => host);
  }
}
syncBuiltinESMExports();

const LONG_MS = 60_000;
const realInterval = globalThis.setInterval;
globalThis.setInterval = ((run: () => void, ms: number, ...args: []) =>
  realInterval(run, ms >= LONG_MS ? 50 : ms, ...args)) as typeof setInterval;

if (process.env.WATCH_CONTROL === 'true') {
  process.env = new Proxy(process.env, {
    set: (env, name, value) => name === 'APOLLO_TELEMETRY_DISABLED' || Reflect.set(env, name, value),
    get: (env, name) => (name === 'APOLLO_TELEMETRY_DISABLED' ? undefined : Reflect.get(env, name)),
  });
}
