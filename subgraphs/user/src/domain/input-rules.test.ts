import { describe, expect, it } from 'vitest';
import { emailOf, isEmail, nameOf, newPasswordOf } from './input-rules.ts';

describe('an address', () => {
  it.each(['ada@acme.test', 'a@b', "o'neil+x@mail.acme.test", `${'a'.repeat(64)}@acme.test`])(
    'may be %s',
    (email) => expect(emailOf(` ${email.toUpperCase()} `)).toBe(email),
  );

  it.each([
    ...[
      '',
      'ada',
      '@acme.test',
      'ada@',
      'ada@acme..test',
      'ada@-acme.test',
      'a b@acme.test',
      'ada@acme.test,b@c',
    ],
    ...['ada@acme.test\n', 'ädä@acme.test', 'ada@äcme.test', 'İ@acme.test', `${'a'.repeat(65)}@acme.test`],
  ])('may not be %j', (email) => {
    expect(isEmail(email)).toBe(false);
  });

  it('of a hostile length is refused in no time', () => {
    const startedAt = performance.now();
    for (const text of [`a@${'a.'.repeat(50_000)}!`, 'a'.repeat(1_000_000), `${'a@'.repeat(100_000)}`]) {
      expect(() => emailOf(text)).toThrow('This is not an e-mail address.');
    }
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe('names and passwords', () => {
  it('are counted in characters, not in UTF-16 units', () => {
    expect(nameOf('🙂'.repeat(200), 'name')).toHaveLength(400);
    expect(() => nameOf('🙂'.repeat(201), 'name')).toThrow(/1 to 200/);
    expect(newPasswordOf('🔑'.repeat(256))).toHaveLength(512);
    expect(() => newPasswordOf('🔑'.repeat(7))).toThrow(/8 to 256/);
  });

  it('differ in spaces: a name is trimmed, a password is as it was typed', () => {
    expect(nameOf('  Ada \t', 'name')).toBe('Ada');
    expect(newPasswordOf('  12345 ')).toBe('  12345 ');
  });
});
