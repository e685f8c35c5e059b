import { describe, expect, it } from 'vitest';
import { renderMail } from './mail-templates.ts';

const TEMPLATES = [
  'EMAIL_VERIFICATION',
  'PASSWORD_RESET',
  'PASSWORD_CHANGED',
  'EMAIL_CHANGE_CONFIRM',
  'EMAIL_CHANGE_NOTICE',
  'INVITE',
  'DATA_EXPORT_READY',
];
const VALUES = {
  name: 'Ada Lovelace',
  organizationName: 'Acme & Sons',
  inviterName: 'Grace Hopper',
  role: 'MANAGER',
  newEmail: 'ada@new.test',
  address: '203.0.113.7',
  expiresAt: '2026-11-21T14:05:00.000Z',
};
const linkBase = 'https://tasks.example';

const render = (
  template: string,
  values: Record<string, string> = VALUES,
  token: string | null = 'tok_1',
) => {
  const mail = renderMail({ template, values, token, linkBase });
  if (!mail) throw new Error('not rendered');
  return mail;
};

describe('a mail', () => {
  it.each(TEMPLATES)('%s says what it always said', (template) => {
    const { subject, text, html } = render(
      template,
      VALUES,
      template === 'PASSWORD_CHANGED' ? null : 'tok_1',
    );
    expect(`${subject}\n\n${text}\n${html}`).toMatchSnapshot();
  });

  it.each(TEMPLATES)('%s reads well without any value and without a token', (template) => {
    const { subject, text, html } = render(template, {}, null);
    for (const part of [subject, text, html]) {
      expect(part).not.toMatch(/undefined|null|\[object|https?:|#/);
    }
  });

  it.each(TEMPLATES)('%s tells those who did not ask for it what to do', (template) => {
    expect(render(template).text).toMatch(/^If (you did not ask|this was not you|you do not know them)/m);
  });

  it('of a template that this release does not have is none', () => {
    for (const template of ['FAREWELL', 'toString', '__proto__', ''])
      expect(renderMail({ template, values: {}, token: null, linkBase })).toBeNull();
  });

  it('carries its token in the fragment alone, which no server is sent', () => {
    const { text } = render('PASSWORD_RESET', {}, 'pwd_a/b?c#d e');
    const link = new URL(/https:\S+/.exec(text)?.[0] ?? '');
    expect([link.pathname, link.search]).toEqual(['/', '']);
    expect(decodeURIComponent(link.hash)).toBe('#reset=pwd_a/b?c#d e');
  });

  it('takes a link base with or without a slash at its end', () => {
    const mail = renderMail({ template: 'INVITE', values: {}, token: 't', linkBase: 'https://x.test//' });
    expect(mail?.text).toContain('\nhttps://x.test/#invite=t\n');
  });
});

describe('a value', () => {
  const evil = 'Eve\r\nBcc: all@acme.test\u2028\u0000<img src=x onerror="alert(\'1\')">&amp;\u202Etxt';

  it('is one line, in the subject and in the text', () => {
    for (const template of TEMPLATES) {
      const values = Object.fromEntries(Object.keys(VALUES).map((key) => [key, evil]));
      const { subject, text } = render(template, values);
      expect(subject).not.toMatch(/[\p{Cc}\u2028\u202E]/u);
      expect(text).not.toMatch(/^Bcc:/m);
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u2028\u202E]/u);
    }
  });

  it('is text in HTML, never markup', () => {
    for (const template of TEMPLATES) {
      const values = Object.fromEntries(Object.keys(VALUES).map((key) => [key, evil]));
      const { html } = render(template, values, '"><script>');
      expect(html).not.toMatch(/<img|<script|"alert/);
    }
    expect(render('INVITE', { organizationName: evil }).html).toContain('&lt;img src=x onerror=&quot;alert(');
  });

  it('is cut where it is longer than any name', () => {
    const { subject, text } = render('INVITE', { organizationName: 'x'.repeat(10_000) });
    expect(subject.length).toBeLessThanOrEqual(200);
    expect(text.length).toBeLessThan(2_000);
  });
});
