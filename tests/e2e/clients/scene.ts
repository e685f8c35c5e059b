/** What each client goes through: somebody with tasks of their own, whose tokens can be made to expire. */
import { aMember, anOrg, aTask, type TestPerson, type TestTask } from '../../kit/seed.ts';
import type { TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

export interface Scene {
  /** The router's GraphQL address; over WebSocket the same. */
  readonly url: string;
  readonly socketUrl: string;
  /** The token of now, for the clients that ask for it each time. */
  token(): string;
  authorization(): { authorization: string };
  /** Somebody else changes the person's role: every token is TOKEN_EXPIRED, and what they have open ends. */
  expire(): Promise<void>;
  /** A new token takes the place of the old. */
  refresh(): Promise<void>;
  aTask(title: string): Promise<TestTask>;
  /** What the router has open at subgraphs. */
  upstream(): Promise<number>;
  isOver(): Promise<void>;
}

export const TASK = 'query Task($id: ID!) { task(id: $id) { id title assignee { id name } } }';
/** The rest is the user subgraph's, and comes in a part of its own where the client takes parts. */
export const DEFERRED = `query Deferred($id: ID!) {
  task(id: $id) { __typename id title ... @defer(label: "Deferred$defer$Rest") { creator { __typename id name } } }
}`;
export const CREATE =
  'mutation Create($input: TaskCreateInput!) { taskCreate(input: $input) { success task { id title } } }';
export const EVENTS = `subscription Events($after: String) {
  taskEvents(after: $after) { __typename ... on TaskChange { cursor kind task { id title } } ... on StreamHeartbeat { cursor } }
}`;

export interface TaskEvent {
  readonly __typename: string;
  readonly cursor?: string;
  readonly task?: { readonly id: string; readonly title: string } | null;
}

export async function aScene(supergraph: TestSupergraph, name: string): Promise<Scene> {
  const boss = await anOrg(supergraph.client, `Boss${name}`);
  let person: TestPerson = await aMember(boss, 'MEMBER', name);
  let role = 'MEMBER';
  const upstream = async () => {
    const health = await fetch(supergraph.url.replace('/graphql', '/health'));
    return ((await health.json()) as { subscriptions: { upstream: number } }).subscriptions.upstream;
  };
  return {
    url: supergraph.url,
    socketUrl: supergraph.url.replace('http', 'ws'),
    token: () => person.accessToken,
    authorization: () => ({ authorization: `Bearer ${person.accessToken}` }),
    async expire() {
      role = role === 'MEMBER' ? 'MANAGER' : 'MEMBER';
      await boss.client.ask(
        'mutation ($input: UserRoleChangeInput!) { userRoleChange(input: $input) { success userErrors { code } } }',
        { input: { id: person.id, role } },
      );
      await until(
        'the token to be refused',
        async () => (await person.client.send('{ viewer { id } }')).status === 401,
      );
    },
    async refresh() {
      const { tokenRefresh } = await supergraph.client.ask<{
        tokenRefresh: { accessToken: string; refreshToken: string };
      }>(
        'mutation ($input: TokenRefreshInput!) { tokenRefresh(input: $input) { success accessToken refreshToken } }',
        { input: { refreshToken: person.refreshToken } },
      );
      const { accessToken, refreshToken } = tokenRefresh;
      person = { ...person, accessToken, refreshToken, client: supergraph.client.as(accessToken) };
    },
    aTask: (title) => aTask(person, { title }),
    upstream,
    async isOver() {
      await until('the subgraphs to be left', async () => (await upstream()) === 0);
    },
  };
}

/** What a subscription hands to whoever listens, kept until it is asked for. */
export class Inbox {
  readonly events: TaskEvent[] = [];
  /** Of clients that hand on a result with errors as one more event. */
  readonly errors: { readonly extensions: Record<string, unknown> }[] = [];
  error: unknown = null;
  isComplete = false;
  /** Of the last event that had one. */
  cursor: string | undefined;

  readonly next = (event: TaskEvent | null | undefined): void => {
    if (!event) return;
    this.cursor = event.cursor ?? this.cursor;
    this.events.push(event);
  };
  readonly failed = (error: unknown): void => {
    this.error = error;
  };
  readonly completed = (): void => {
    this.isComplete = true;
  };

  titles(): string[] {
    return this.events.flatMap(({ task }) => task?.title ?? []);
  }

  /** The first event of any kind says that the subgraph is listening: a stream begins with a heartbeat. */
  async begun(): Promise<void> {
    await until('the stream to begin', () => this.events.length > 0);
  }

  async has(title: string): Promise<void> {
    await until(`the event of ${title}`, () => this.titles().includes(title));
  }

  async end(): Promise<unknown> {
    await until('the stream to end', () => this.error !== null || this.isComplete);
    return this.error;
  }
}
