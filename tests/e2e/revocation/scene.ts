/** One person at two replicas of the router: what each answers them, and when each closes their socket. */
import type { TestClient } from '../../kit/client.ts';
import type { TestPerson } from '../../kit/seed.ts';
import { openSocket } from '../../kit/socket.ts';
import { until } from '../../kit/until.ts';

const ME = '{ viewer { id role } }';
const LISTEN = 'subscription { notificationEvents { __typename ... on StreamHeartbeat { cursor } } }';

/** A session, by its tokens. */
export type Tokens = Pick<TestPerson, 'accessToken' | 'refreshToken'>;

export interface Gone {
  /** From the call of `everywhere` to the last replica's refusal. */
  refusedMs: number;
  /** And to the last socket's end. */
  closedMs: number;
}

export interface Everywhere {
  /** Resolves when every replica refuses the token with `code` and has closed its socket with `closeCode`. */
  gone(since: number, expected: { code: string; closeCode: number }): Promise<Gone>;
}

/** An open socket with a subscription at each replica, and a token that each has seen. */
export async function everywhere(
  replicas: readonly TestClient[],
  { accessToken }: Tokens,
): Promise<Everywhere> {
  const places = await Promise.all(
    replicas.map(async (replica) => {
      const client = replica.as(accessToken);
      await client.ask(ME);
      const socket = await openSocket(client.url, accessToken);
      await socket.subscribe(LISTEN).nextOf('StreamHeartbeat');
      let end: { code: number; reason: string; at: number } | null = null;
      void socket.closed.then((closed) => {
        end = { ...closed, at: performance.now() };
      });
      return { client, closed: () => end };
    }),
  );
  return {
    async gone(since, { code, closeCode }) {
      const ends = await Promise.all(
        places.map(async ({ client, closed }) => {
          await until(`every replica to say ${code}`, async () => (await answerTo(client)) === code);
          const refusedAt = performance.now();
          const end = await until(`the socket to be closed with ${closeCode}`, closed);
          if (end.code !== closeCode)
            throw new Error(`closed with ${end.code} ${end.reason}, not with ${closeCode}`);
          return { refusedAt, closedAt: end.at };
        }),
      );
      return {
        refusedMs: Math.round(Math.max(...ends.map(({ refusedAt }) => refusedAt)) - since),
        closedMs: Math.round(Math.max(...ends.map(({ closedAt }) => closedAt)) - since),
      };
    },
  };
}

/** The role that a client is answered with, or the code of the refusal. */
export async function answerTo(client: TestClient): Promise<string | undefined> {
  const { data, errors } = await client.send<{ viewer: { role: string } }>(ME);
  return errors[0]?.extensions.code ?? data?.viewer.role;
}

/** What each replica answers. */
export const answersTo = (replicas: readonly TestClient[], { accessToken }: Tokens) =>
  Promise.all(replicas.map((replica) => answerTo(replica.as(accessToken))));

export async function signIn(client: TestClient, { email, password }: TestPerson): Promise<Tokens> {
  const { login } = await client.ask<{ login: Tokens }>(
    'mutation Login($input: LoginInput!) { login(input: $input) { success accessToken refreshToken } }',
    { input: { email, password } },
  );
  return login;
}

/** Null when it is refused. */
export async function refresh(client: TestClient, { refreshToken }: Tokens): Promise<Tokens | null> {
  const { data } = await client.send<{ tokenRefresh: Tokens & { success: boolean } }>(
    'mutation Refresh($input: TokenRefreshInput!) { tokenRefresh(input: $input) { success accessToken refreshToken } }',
    { input: { refreshToken } },
  );
  return data?.tokenRefresh.success ? data.tokenRefresh : null;
}

/** The `sid` of an access token. */
export function sessionIdOf({ accessToken }: Tokens): string {
  const [, claims = ''] = accessToken.split('.');
  return JSON.parse(Buffer.from(claims, 'base64url').toString()).sid;
}

/** For the record: what a machine took on the day. What it may take is asserted with more patience. */
export const tell = (what: string, { refusedMs, closedMs }: Gone): void =>
  console.info(
    `${what}: refused by both replicas after ${refusedMs} ms, sockets closed after ${closedMs} ms`,
  );
