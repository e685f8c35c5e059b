/**
 * What each mail says: subject, plain text and simple HTML of the same content. Pure: the same request always makes the
 * same mail. English only so far; the locale that was asked for is kept with the mail.
 *
 * Values come from people, and from strangers (a name, an organisation's name): they are cut to one line for the
 * subject, and escaped in HTML. The token stands in the fragment of its link, which browsers send to no server.
 */
export interface MailContent {
  readonly template: string;
  readonly values: Readonly<Record<string, string>>;
  /** The single-use token of its link; null in a mail that only tells. */
  readonly token: string | null;
  /** Where links point to: `https://tasks.example`, without a slash at the end. */
  readonly linkBase: string;
}

export interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

type Values = Readonly<Record<string, string>>;

interface Template {
  subject(values: Values): string;
  /** Why it comes. */
  paragraphs(values: Values): readonly string[];
  /** What a person does about it. Only in a mail with a token. */
  action?: {
    readonly label: string;
    /** Names the token in the fragment of the link. */
    readonly fragment: string;
    /** The mutation that takes the token, for those who have no page to follow the link to. */
    readonly mutation: string | null;
  };
  /** The last word: what it means if nobody asked for this. */
  readonly unasked: string;
}

const IGNORE = 'If you did not ask for this, ignore this mail: nothing changes.';
const ACT =
  'If this was not you, somebody may know your password: reset it now, and tell an administrator of your organization.';

const templates: Readonly<Record<string, Template>> = {
  EMAIL_VERIFICATION: {
    subject: () => 'Confirm your address for TaskFlow',
    paragraphs: () => ['Please confirm that this address is yours.'],
    action: { label: 'Confirm this address', fragment: 'verify', mutation: 'emailVerify' },
    unasked: IGNORE,
  },
  PASSWORD_RESET: {
    subject: () => 'Reset your TaskFlow password',
    paragraphs: ({ address }) => [
      `Somebody${address ? ` at the network address ${address}` : ''} asked to reset the password of your TaskFlow account.`,
    ],
    action: { label: 'Choose a new password', fragment: 'reset', mutation: 'passwordReset' },
    unasked: 'If you did not ask for this, ignore this mail: your password stays as it is.',
  },
  PASSWORD_CHANGED: {
    subject: () => 'Your TaskFlow password was changed',
    paragraphs: ({ address }) => [
      `The password of your TaskFlow account was changed${address ? ` from the network address ${address}` : ''}.`,
    ],
    unasked: ACT,
  },
  EMAIL_CHANGE_CONFIRM: {
    subject: () => 'Confirm your new address for TaskFlow',
    paragraphs: () => [
      'You asked to use this address for your TaskFlow account. It changes once this address and the present one have agreed.',
    ],
    action: { label: 'Confirm the new address', fragment: 'email-change', mutation: 'emailChangeConfirm' },
    unasked: IGNORE,
  },
  EMAIL_CHANGE_NOTICE: {
    subject: () => 'The address of your TaskFlow account is to be changed',
    paragraphs: ({ newEmail }) => [
      `Somebody who knows your password asked to change the address of your TaskFlow account${newEmail ? ` to ${newEmail}` : ''}. It changes once both addresses have agreed.`,
    ],
    action: { label: 'Agree to the change', fragment: 'email-change', mutation: 'emailChangeConfirm' },
    unasked: ACT,
  },
  INVITE: {
    subject: ({ organizationName }) =>
      `You are invited to ${organizationName || 'an organization'} on TaskFlow`,
    paragraphs: ({ organizationName, inviterName, role }) => [
      `${inviterName || 'Somebody'} invites you to join ${organizationName || 'an organization'} on TaskFlow${role ? ` as ${ROLES[role] ?? role}` : ''}.`,
    ],
    action: { label: 'Accept the invite', fragment: 'invite', mutation: 'inviteAccept' },
    unasked: 'If you do not know them, ignore this mail: nobody joins without accepting.',
  },
  DATA_EXPORT_READY: {
    subject: () => 'Your TaskFlow data is ready',
    paragraphs: () => ['The archive with your data that you asked for is ready.'],
    action: { label: 'Fetch the archive', fragment: 'data-export', mutation: null },
    unasked: ACT,
  },
};

const ROLES: Readonly<Record<string, string>> = {
  ORG_ADMIN: 'an administrator',
  MANAGER: 'a manager',
  MEMBER: 'a member',
  GUEST: 'a guest',
};

/** Null for a template that this release does not have. */
export function renderMail({ template: name, values, token, linkBase }: MailContent): RenderedMail | null {
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
  if (!template) return null;
  const clean = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, oneLine(value)]));
  const link = token === null || !template.action ? null : linkOf(linkBase, template.action.fragment, token);
  const mutation = link === null ? null : (template.action?.mutation ?? null);
  const blocks: Block[] = [
    { text: clean.name ? `Hello ${clean.name},` : 'Hello,' },
    ...template.paragraphs(clean).map((text) => ({ text })),
    ...(link === null ? [] : [{ text: `${template.action?.label}:`, link }]),
    ...(token === null ? [] : [{ text: tokenText(mutation), code: token }]),
    ...(clean.expiresAt ? [{ text: expiryText(clean.expiresAt, token !== null) }] : []),
    { text: template.unasked },
  ];
  return {
    subject: template.subject(clean).slice(0, SUBJECT_LENGTH_MAX),
    text: `${blocks.map(plain).join('\n\n')}\n\n-- \nTaskFlow\n`,
    html: pageOf(blocks.map(htmlOf).join('\n')),
  };
}

interface Block {
  readonly text: string;
  readonly link?: string;
  readonly code?: string;
}

/** RFC 5322 allows 998 a line; what a list shows of a subject is shorter than this. */
const SUBJECT_LENGTH_MAX = 200;
/** Longer than any name that is let in; a mail is no place for more. */
const VALUE_LENGTH_MAX = 320;

/** No line breaks, which would be another header in a subject and another paragraph in a text; no bidi tricks either. */
function oneLine(value: string): string {
  const text = value.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]+/gu, ' ').trim();
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX - 1)}…` : text;
}

const linkOf = (base: string, fragment: string, token: string): string =>
  `${base.replace(/\/+$/, '')}/#${fragment}=${encodeURIComponent(token)}`;

const tokenText = (mutation: string | null): string =>
  mutation ? `Or give this token to the mutation ${mutation}:` : 'Its token:';

const expiryText = (expiresAt: string, isSingleUse: boolean): string =>
  `Valid until ${momentText(expiresAt)}${isSingleUse ? ', and once only' : ''}.`;

/** `21 November 2026 at 14:05 UTC`; a text that is no time is shown as it is. */
function momentText(value: string): string {
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return value;
  const format = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
  return `${format.format(at)} UTC`;
}

const plain = ({ text, link, code }: Block): string => [text, link, code].filter((part) => part).join('\n');

function htmlOf({ text, link, code }: Block): string {
  if (link) return `<p>${escapeHtml(text)}<br><a href="${escapeHtml(link)}">${escapeHtml(link)}</a></p>`;
  if (code) return `<p>${escapeHtml(text)}<br><code>${escapeHtml(code)}</code></p>`;
  return `<p>${escapeHtml(text)}</p>`;
}

const pageOf = (body: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em">
${body}
<p>TaskFlow</p>
</body>
</html>
`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
