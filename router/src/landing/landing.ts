/**
 * The page that greets a stranger in development: who to sign in as, what to try, and a workbench to try it in
 * (Apollo Sandbox from the internet, or the GraphiQL of this router).
 *
 *   GET /                       the page                  GET /landing/graphiql/…   the bundle, built on demand
 *   GET /landing/page.css …     its parts                 GET /graphql (browser)    to the page
 */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Log } from '@taskflow/kit/log';
import { createGraphiqlBundle } from './graphiql-bundle.ts';
import { readSavedOperations } from './operations.ts';

export interface DemoPeople {
  /** The same for all of them: it is printed at start-up, and on the page. */
  readonly password: string;
  readonly people: readonly {
    readonly name: string;
    readonly email: string;
    readonly role: string;
    readonly organization: string;
  }[];
  /** The page with the mails that this installation sends; absent where they go to a real server. */
  readonly mailboxUrl?: string | undefined;
}

export interface LandingOptions {
  readonly log: Log;
  /** People that a visitor may sign in as; absent, the page has no sign-in. */
  readonly demo?: DemoPeople | undefined;
  /** Where the bundle of GraphiQL is kept. */
  readonly cacheDirectory?: string;
}

export interface Page {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

export interface Landing {
  /** The answer to a GET; null when the path is none of the page's. */
  page(request: IncomingMessage): Promise<Page | null>;
}

const CACHE_DIRECTORY = fileURLToPath(new URL('../../../.taskflow/landing', import.meta.url));

/** Our own parts, the hosted Sandbox, and nothing else. GraphiQL's editor writes style elements. */
const SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self' https://embeddable-sandbox.cdn.apollographql.com",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: https://*.apollographql.com",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "connect-src 'self' ws: wss: https://*.apollographql.com",
  'frame-src https://*.apollographql.com',
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  ttf: 'font/ttf',
};

/** For development mode only: the router does not create it in production. */
export function createLanding({ log, demo, cacheDirectory = CACHE_DIRECTORY }: LandingOptions): Landing {
  const bundle = createGraphiqlBundle({ directory: cacheDirectory, log });
  const shown = JSON.stringify({ operations: readSavedOperations(), demo: demo ?? null });
  // A `<` inside the JSON could end the script element that carries it.
  const data = shown.replaceAll('<', '\\u003c');

  async function greet(): Promise<Page> {
    bundle.prepare();
    const html = await readFile(new URL('page/page.html', import.meta.url), 'utf8');
    const headers = { 'content-type': TYPES.html ?? '', 'content-security-policy': SECURITY_POLICY };
    return { status: 200, headers, body: html.replace('__LANDING__', () => data) };
  }

  return {
    async page(request) {
      const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
      if (path === '/') return greet();
      if (path === '/graphql') return { status: 302, headers: { location: '/' }, body: '' };
      const [, folder, file] = /^\/landing\/(graphiql\/)?([\w.-]+)$/.exec(path) ?? [];
      if (!file) return null;
      const type = TYPES[file.split('.').at(-1) ?? ''];
      const body = folder ? await bundle.read(file) : await readPart(file);
      if (!body || !type) return null;
      return { status: 200, headers: { 'content-type': type, 'cache-control': cachingOf(file) }, body };
    },
  };
}

/** The bundler's names carry a hash of what is inside, but for the two that the page asks for. */
function cachingOf(file: string): string {
  return /-[\w-]{8}\.\w+$/.test(file) ? 'public, max-age=31536000, immutable' : 'no-cache';
}

/** The hand-written files that the browser loads as they are. */
const PARTS = ['page.css', 'page.mjs', 'from-mail.mjs', 'session.mjs'];

async function readPart(file: string): Promise<Buffer | null> {
  return PARTS.includes(file) ? readFile(new URL(`page/${file}`, import.meta.url)) : null;
}
