/**
 * Many connections that listen to the same subscription, in a process of their own.
 *
 *   node bench/fanout/listeners.ts '{"url":"ws://…","token":"…","query":"…","count":10000}'
 *
 * Prints `ready` when all have had their first event, and then, for each change that all have received, a line with how
 * long after the instant in its task's title (milliseconds since the epoch) it arrived: {"p50Ms":…,"p99Ms":…,"lastMs":…}.
 */
import { GRAPHQL_TRANSPORT_WS_PROTOCOL, MessageType } from 'graphql-ws';
import WebSocket from 'ws';
import { percentile } from '../statistics.ts';

interface Asked {
  url: string;
  token: string;
  query: string;
  count: number;
}

const { url, token, query, count }: Asked = JSON.parse(process.argv[2] ?? '{}');
/** Opened side by side: more would only wait in the listening queue. */
const OPENING = 50;
const now = () => performance.timeOrigin + performance.now();

/** By the title that an event carries: it is the instant at which the change was sent. */
const latencies = new Map<string, number[]>();

function received(text: string): boolean {
  const title = /"title":"at ([\d.]+)"/.exec(text)?.[1];
  if (title === undefined) return false;
  const all = latencies.get(title) ?? [];
  latencies.set(title, all);
  all.push(now() - Number(title));
  if (all.length === count) {
    const told = { p50Ms: percentile(all, 0.5), p99Ms: percentile(all, 0.99), lastMs: Math.max(...all) };
    process.stdout.write(`${JSON.stringify(told)}\n`);
  }
  return true;
}

function listen(): Promise<void> {
  return new Promise((listening, reject) => {
    const socket = new WebSocket(url, GRAPHQL_TRANSPORT_WS_PROTOCOL, { perMessageDeflate: false });
    const send = (message: object) => socket.send(JSON.stringify(message));
    socket.on('open', () =>
      send({ type: MessageType.ConnectionInit, payload: { authorization: `Bearer ${token}` } }),
    );
    socket.on('message', (bytes) => {
      const text = String(bytes);
      if (received(text)) return;
      if (text.includes(`"type":"${MessageType.ConnectionAck}"`)) {
        send({ id: '1', type: MessageType.Subscribe, payload: { query } });
      } else if (text.includes('StreamHeartbeat')) listening();
      else if (text.includes('"errors"') || text.includes(`"type":"${MessageType.Error}"`))
        reject(new Error(text));
    });
    socket.on('close', (code, reason) => reject(new Error(`closed: ${code} ${reason}`)));
    socket.on('error', reject);
  });
}

let opened = 0;
async function openSome(): Promise<void> {
  while (opened++ < count) await listen();
}
await Promise.all(Array.from({ length: OPENING }, openSome));
process.stdout.write('ready\n');
