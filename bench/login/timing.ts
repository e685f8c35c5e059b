/**
 * How long a refused sign-in takes, and a request to reset a password, for addresses that have an account and for those that
 * have none.
 *
 * Through the router, one after the other on one connection, the two kinds in turns and in random order within a turn. Every
 * attempt comes from a network address of its own, so that no lock answers instead.
 */
import type { Stops } from '@taskflow/dev/stops';
import { Pool } from 'undici';
import { startInstallation } from '../installation.ts';
import { median, percentile } from '../statistics.ts';

export interface LoginFigures {
  name: 'known' | 'unknown';
  p25Ms: number;
  p50Ms: number;
  p75Ms: number;
}

/** What one kind of request tells. */
export interface Telling {
  figures: [LoginFigures, LoginFigures];
  /** Of the medians, in share of the smaller one. */
  difference: number;
  /**
   * The share of pairs of one known and one unknown address in which the known one took longer: 0.5 when the times say
   * nothing at all.
   */
  guess: number;
}

const ACCOUNTS = 20;
/** Not measured: code is compiled, connections are opened. */
const WARMUP = 100;
const PASSWORD = 'correct horse battery';
const LOGIN = 'mutation L($input: LoginInput!) { login(input: $input) { success userErrors { code } } }';
const REGISTER = 'mutation R($input: RegisterInput!) { register(input: $input) { success } }';
const RESET =
  'mutation P($input: PasswordResetRequestInput!) { passwordResetRequest(input: $input) { success userErrors { code } } }';
const ASKED = '{"data":{"passwordResetRequest":{"success":true,"userErrors":[]}}}';
const REFUSED = '{"data":{"login":{"success":false,"userErrors":[{"code":"INVALID_CREDENTIALS"}]}}}';

export interface LoginResult {
  logins: number;
  signIn: Telling;
  resetRequest: Telling;
}

export async function measureLogins(options: {
  dir: string;
  logins: number;
  stops: Stops;
  say(text: string): void;
}): Promise<LoginResult> {
  const { dir, logins, stops, say } = options;
  say('starting PostgreSQL, Redis, the four subgraphs and the router');
  const { url } = await startInstallation(dir, stops, {
    // Each attempt names a network address; no limit but that of sign-in is measured.
    ...{ ROUTER_PROXY_HOPS: '1', ROUTER_ADDRESS_REQUESTS_PER_S: '0' },
    ROUTER_ADDRESS_POINTS_PER_S: '0',
  });
  const send = await createSender(url, stops);
  for (let n = 0; n < ACCOUNTS; n++) await register(send, n);
  say(`${logins} logins of known and of unknown addresses`);
  const signIn = await compare(logins, stops, (email) =>
    timed(REFUSED, () => send(LOGIN, { email, password: 'a wrong password' })),
  );
  say(`${logins} requests of a reset for known and for unknown addresses`);
  const resetRequest = await compare(logins, stops, (email) => timed(ASKED, () => send(RESET, { email })));
  return { logins, signIn, resetRequest };
}

async function compare(
  count: number,
  stops: Stops,
  measure: (email: string) => Promise<number>,
): Promise<Telling> {
  const times = { known: [] as number[], unknown: [] as number[] };
  for (let n = 0; n < WARMUP + count; n++) {
    const turn = Math.random() < 0.5 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const);
    for (const name of turn) {
      const ms = await measure(emailOf(name, n % ACCOUNTS));
      if (n >= WARMUP) times[name].push(ms);
    }
    stops.checkpoint();
  }
  const [known, unknown] = [figuresOf('known', times.known), figuresOf('unknown', times.unknown)];
  const [slower, faster] = [Math.max(known.p50Ms, unknown.p50Ms), Math.min(known.p50Ms, unknown.p50Ms)];
  return {
    figures: [known, unknown],
    difference: slower / faster - 1,
    guess: shareOfGreater(times.known, times.unknown),
  };
}

async function timed(expected: string, send: () => Promise<string>): Promise<number> {
  const startedAt = performance.now();
  const text = await send();
  const ms = performance.now() - startedAt;
  if (text !== expected) throw new Error(`not the answer that is measured: ${text}`);
  return ms;
}

const emailOf = (kind: 'known' | 'unknown', n: number) => `${kind}-${n}@acme.test`;

type Send = (query: string, input: object) => Promise<string>;

async function createSender(url: string, stops: Stops): Promise<Send> {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: 1, pipelining: 1 });
  await stops.add(`the connection to ${origin}`, () => pool.destroy());
  let sent = 0;
  return async (query, input) => {
    sent += 1;
    const address = [10, sent >> 16, (sent >> 8) & 255, sent & 255].join('.');
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': address };
    const body = JSON.stringify({ query, variables: { input } });
    const answer = await pool.request({ path: pathname, method: 'POST', headers, body });
    return (await answer.body.text()).trim();
  };
}

async function register(send: Send, n: number): Promise<void> {
  const person = { email: emailOf('known', n), password: PASSWORD, name: 'Person' };
  const text = await send(REGISTER, { ...person, organizationName: `Organization ${n}` });
  if (text !== '{"data":{"register":{"success":true}}}') throw new Error(`nobody was registered: ${text}`);
}

const figuresOf = (name: LoginFigures['name'], times: readonly number[]): LoginFigures => ({
  name,
  p25Ms: percentile(times, 0.25),
  p50Ms: median(times),
  p75Ms: percentile(times, 0.75),
});

/** Mann and Whitney's U, as a share of all pairs. */
export function shareOfGreater(these: readonly number[], those: readonly number[]): number {
  const sorted = those.toSorted((a, b) => a - b);
  let greater = 0;
  for (const value of these) {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    greater += low;
  }
  return greater / (these.length * those.length);
}
