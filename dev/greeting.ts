/** What a stranger reads after `npm start`: where it is, who to be, and three commands that work as they stand. */
import { DEMO_PASSWORD, DEMO_PEOPLE } from './seed.ts';

const LOGIN = `mutation { login(input: { email: "${DEMO_PEOPLE.grace.email}", password: "${DEMO_PASSWORD}" }) { accessToken } }`;
const EVENTS =
  'subscription { taskEvents { ... on TaskChange { kind task { title } } ... on StreamHeartbeat { cursor } } }';
const QUERY =
  '{ viewer { name organization { name } openTaskCount notificationCounts { unread } } tasks(first: 3) { nodes { key title status assignee { name } project { name } } } }';

export function greet(options: {
  port: number;
  /** The page of the local mailbox; null where mails go to another server. */
  mailboxUrl: string | null;
  readyMs: number;
  isNew: boolean;
}): string {
  const { port, mailboxUrl, readyMs, isNew } = options;
  const url = `http://localhost:${port}`;
  const { ada, grace, mallory } = DEMO_PEOPLE;
  const credential = ({ email, organization, role }: { email: string; organization: string; role: string }) =>
    `    ${email.padEnd(22)}  ${DEMO_PASSWORD}   ${role.padEnd(9)} of ${organization}`;
  const portGiven = port === 4000 ? '' : `PORT=${port} `;
  return `
  TaskFlow is ready (${(readyMs / 1000).toFixed(1)} s${isNew ? ', with new demo data' : ''})

  Explore            ${url}/
  GraphQL            ${url}/graphql   over HTTP and WebSocket, subscriptions over both
  Health             ${url}/health${mailboxUrl ? `\n  Mails              ${mailboxUrl}/   everything that is sent, delivered to nobody` : ''}

  Demo accounts
${[ada, grace, mallory].map(credential).join('\n')}

  Sign in and ask, in another terminal:

${ask(url)}

  See tasks change as they do, from this folder (then change one):

${portGiven}npm run --silent events

  The same with nothing but curl, as server-sent events:

${listen(url)}

  Ctrl-C stops everything. The data stays in .taskflow/ for the next start.

`;
}

/** One command: the inner `curl` signs in, the outer one asks with the token it got. */
function ask(url: string): string {
  return `${post(url, QUERY)} ${signedIn(url)}`;
}

/** The same; `-N` shows each event as it comes. */
function listen(url: string): string {
  return `${post(url, EVENTS, '-sN')} -H 'accept: text/event-stream' ${signedIn(url)}`;
}

function signedIn(url: string): string {
  return `-H "authorization: Bearer $(${post(url, LOGIN)} | sed 's/.*"accessToken":"\\([^"]*\\)".*/\\1/')"`;
}

function post(url: string, query: string, options = '-s'): string {
  return `curl ${options} ${url}/graphql -H 'content-type: application/json' -d '${JSON.stringify({ query })}'`;
}
