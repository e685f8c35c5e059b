/**
 * `npm run --silent events`: signs in as a demo person and prints the organisation's task events as they happen,
 * one JSON line each. Ends with Ctrl-C.
 *
 *   npm run --silent events                        Ada, who sees every task of Acme
 *   npm run --silent events -- grace@acme.test  what Grace may see
 */
import { createClient as createSocket } from 'graphql-ws';
import WebSocket from 'ws';
import { createClient } from './client.ts';
import { DEMO_PASSWORD, DEMO_PEOPLE } from './seed.ts';

const SUBSCRIPTION = `subscription Events($after: String) {
  taskEvents(after: $after) {
    ... on TaskChange {
      cursor kind changedFields occurredAt
      task { key title status assignee { name } project { name } }
      actor { name }
    }
    ... on StreamHeartbeat { cursor }
    ... on ResyncRequired { cursor reason }
  }
}`;

/** Quick enough to go unnoticed after a restart of the router, slow enough not to spin. */
const RECONNECT_AFTER_MS = 1_000;

const port = process.env.PORT ?? process.env.ROUTER_PORT ?? '4000';
const url = process.env.TASKFLOW_URL ?? `http://localhost:${port}/graphql`;
const email = process.argv[2] ?? DEMO_PEOPLE.ada.email;

async function signIn(): Promise<string> {
  const { login } = await createClient(url).request<{ login: { accessToken: string } }>(
    'mutation EventsLogin($input: LoginInput!) { login(input: $input) { success userErrors { code message } accessToken } }',
    { input: { email, password: DEMO_PASSWORD } },
  );
  return login.accessToken;
}

/** One connection: prints until it ends, and returns the cursor from which the next one goes on. */
async function follow(accessToken: string, after: string | null): Promise<string | null> {
  const client = createSocket({
    url: url.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    retryAttempts: 0, // a retry of the library's would subscribe without `after` and lose what happened meanwhile
    connectionParams: { authorization: `Bearer ${accessToken}` },
  });
  let cursor = after;
  try {
    const events = client.iterate<{ taskEvents: { cursor: string } }>({
      query: SUBSCRIPTION,
      variables: { after },
    });
    for await (const { data, errors } of events) {
      if (errors) throw new Error(JSON.stringify(errors));
      if (!data) continue;
      const { cursor: next, ...event } = data.taskEvents;
      cursor = next;
      if (Object.keys(event).length > 0) process.stdout.write(`${JSON.stringify(event)}\n`);
    }
  } catch (error) {
    process.stderr.write(`the connection ended (${explain(error)}); going on where it stopped\n`);
  } finally {
    await client.dispose();
  }
  return cursor;
}

function explain(reason: unknown): string {
  if (reason instanceof Error) return reason.message;
  const { code, reason: text } = reason as { code?: number; reason?: string };
  return [code, text].filter(Boolean).join(' ') || String(reason);
}

let accessToken = await signIn().catch((error) => {
  process.stderr.write(`cannot follow ${url}: ${explain(error)}\n`);
  process.exit(1);
});
process.stderr.write(`following the tasks that ${email} may see; Ctrl-C ends\n`);
for (let cursor: string | null = null; ; ) {
  cursor = await follow(accessToken, cursor);
  await new Promise((resolve) => setTimeout(resolve, RECONNECT_AFTER_MS));
  // An access token lives ten minutes: a new one for every connection. While the router is away, the old one
  // fails like the rest and the loop comes round again.
  accessToken = await signIn().catch(() => accessToken);
}
