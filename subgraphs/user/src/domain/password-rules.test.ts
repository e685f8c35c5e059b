import { describe, expect, it } from 'vitest';
import { acceptablePasswordOf } from './password-rules.ts';

const ada = { email: 'ada.lovelace@acme.test', name: 'Ada King Lovelace' };

describe('a new password', () => {
  it.each([
    ...[
      'correct horse battery',
      'taskflow-demo',
      'canary in the coal mine',
      'Tr0ub4dor&3',
      '🔑🗝🔒🚪🏠🌳🐟🦆',
    ],
    ...['adamantium rocks', 'x7#Lq!9vW2', '4071 8823 9156 2', 'пароль-на-горе-7'],
  ])('may be %s', async (text) => expect(await acceptablePasswordOf(text, ada)).toBe(text));

  it.each([
    ...[
      'password',
      '12345678',
      'iloveyou',
      'PASSWORD',
      'Password1!',
      'P@ssw0rd2024',
      'p4ssw0rd',
      '!qwerty12!',
    ],
    ...['dragon2024', 'letmein!!!', 'ｐａｓｓｗｏｒｄ', 'Football1', 'trustno1', 'monkey-123', '00baseball'],
  ])('may not be %s, which is tried first', async (text) => {
    await expect(acceptablePasswordOf(text, ada)).rejects.toThrow(/tried first. Choose another/);
  });

  it.each(['aaaaaaaa', 'abcabcabcabc', 'ab12ab12ab12ab1', 'ghijklmnop', '98765432', '🔑🔑🔑🔑🔑🔑🔑🔑'])(
    'may not be monotonous like %s',
    async (text) => {
      await expect(acceptablePasswordOf(text, ada)).rejects.toThrow(/tried first/);
    },
  );

  it.each([
    ...[
      'ada.lovelace',
      'ADA.LOVELACE@acme.test',
      'my lovelace horse',
      'Ada King Lovelace',
      'adakinglovelace1',
    ],
    ...['xx-Lovelace-7', 'ＬＯＶＥＬＡＣＥ 7 horses'],
  ])('may not contain the name or the address: %s', async (text) => {
    await expect(acceptablePasswordOf(text, ada)).rejects.toThrow(/name or address/);
  });

  it('is refused for its length with the field it came in', async () => {
    const refused = acceptablePasswordOf('7 signs', ada, 'newPassword');
    await expect(refused).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'newPassword' },
    });
    await expect(acceptablePasswordOf('x7'.repeat(129), ada)).rejects.toThrow(/8 to 256/);
  });

  it('costs next to nothing to check, however hostile', async () => {
    await acceptablePasswordOf('the list is read once', ada);
    const hostile = [`${'!'.repeat(255)}a`, `${'aB3$'.repeat(63)}x`, `a${'1'.repeat(255)}`];
    const startedAt = performance.now();
    for (let n = 0; n < 300; n++) await acceptablePasswordOf(hostile[n % 3] ?? '', ada);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});
