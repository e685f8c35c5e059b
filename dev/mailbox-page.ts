/**
 * The pages of the local mailbox.
 *
 *   GET /?to=…             the list, newest first        GET /mails/<id>        one mail
 *   GET /mails.json?to=…   the same for curl and tests   GET /mails/<id>/html   its HTML, for the frame of that page
 *
 * A mail is written by somebody else: its HTML is shown in a sandboxed frame only, and answered with a policy that
 * sandboxes it as well when it is opened by itself. No page runs a script. Requests under another host name are refused:
 * a page on the internet could otherwise point a name of its own to this machine and read the tokens (DNS rebinding).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CaughtMail, MailFilter } from './mailbox.ts';

type List = (filter?: MailFilter) => CaughtMail[];

interface Answer {
  status: number;
  type: string;
  policy: string;
  body: string;
}

const OWN_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/** Links open a tab of their own, which is a page like any other. */
const FRAME_RIGHTS = 'allow-popups allow-popups-to-escape-sandbox';
const MAIL_POLICY = `default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox ${FRAME_RIGHTS}`;

const OWN_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

export function answerPage(request: IncomingMessage, response: ServerResponse, list: List): void {
  const { status, type, policy, body } = answerOf(request, list);
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'content-security-policy': policy,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function answerOf(request: IncomingMessage, list: List): Answer {
  if (!OWN_HOST.test(request.headers.host ?? '')) return plain(403, 'Ask for localhost.\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'GET only.\n');
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const filter = { to: searchParams.get('to'), template: searchParams.get('template') };
  if (pathname === '/') return page('Mailbox', listHtml(list(filter), filter.to ?? ''));
  if (pathname === '/mails.json') {
    const body = `${JSON.stringify(list(filter), null, 2)}\n`;
    return { ...plain(200, body), type: 'application/json' };
  }
  const [, id, part] = /^\/mails\/([\d-]+)(\/html)?$/.exec(pathname) ?? [];
  const mail = list().find((candidate) => candidate.id === id);
  if (!mail) return plain(404, 'There is no such mail.\n');
  if (part) return { status: 200, type: 'text/html', policy: MAIL_POLICY, body: frameHtml(mail) };
  return page(mail.subject, mailHtml(mail));
}

const plain = (status: number, body: string): Answer => ({
  ...{ status, type: 'text/plain', policy: OWN_POLICY, body },
});

const page = (title: string, body: string): Answer => ({
  ...{ status: 200, type: 'text/html', policy: OWN_POLICY },
  body: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${text(title)} – TaskFlow mailbox</title>
<style>${STYLE}</style>
</head>
<body>
<header><a href="/">TaskFlow mailbox</a></header>
<main>
${body}
</main>
</body>
</html>
`,
});

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; }
header { font-weight: 600; margin-bottom: 1rem; }
header a { color: inherit; text-decoration: none; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .4rem .8rem .4rem 0; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
input, button { font: inherit; padding: .2rem .5rem; }
input { width: 20rem; max-width: 60vw; }
pre { border: 1px solid #8884; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
iframe { background: white; border: 1px solid #8884; color-scheme: light; height: 30rem; width: 100%; }
dt { float: left; clear: left; width: 6rem; opacity: .7; }
dd { margin-left: 6rem; overflow-wrap: anywhere; }`;

function listHtml(mails: readonly CaughtMail[], to: string): string {
  const rows = mails.map(
    (mail) => `<tr><td><time datetime="${mail.receivedAt}">${moment(mail)}</time></td>
<td>${text(mail.to.join(', '))}</td><td><a href="/mails/${mail.id}">${text(mail.subject || '(no subject)')}</a></td></tr>`,
  );
  const search = `<form><label>Recipient <input name="to" type="search" value="${text(to)}"></label> <button>Search</button></form>`;
  const none = to ? 'No mail to them.' : 'No mail yet. What TaskFlow sends on this machine arrives here.';
  if (rows.length === 0) return `${search}<p>${none}</p>`;
  return `${search}
<table><thead><tr><th>Arrived (UTC)</th><th>To</th><th>Subject</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

function mailHtml(mail: CaughtMail): string {
  const frame = `<h2>HTML</h2>
<iframe title="The mail as HTML" sandbox="${FRAME_RIGHTS}" src="/mails/${mail.id}/html"></iframe>`;
  return `<h1>${text(mail.subject || '(no subject)')}</h1>
<dl><dt>From</dt><dd>${text(mail.from)}</dd><dt>To</dt><dd>${text(mail.to.join(', '))}</dd>
<dt>Arrived</dt><dd>${moment(mail)} UTC</dd>${mail.token ? `<dt>Token</dt><dd><code>${text(mail.token)}</code></dd>` : ''}</dl>
<pre>${linked(mail.text)}</pre>
${mail.html ? frame : ''}`;
}

/** Its links leave the frame. */
const frameHtml = (mail: CaughtMail): string => `<base target="_blank">${mail.html}`;

const moment = ({ receivedAt }: CaughtMail): string => receivedAt.slice(0, 19).replace('T', ' ');

/** Escapes first: what is then found to be a link holds no quote and no bracket. */
const linked = (body: string): string =>
  text(body).replace(
    /https?:\/\/[^\s<>"']+/g,
    (url) => `<a href="${url}" target="_blank" rel="noopener noreferrer">${url}</a>`,
  );

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const text = (value: string): string => value.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
