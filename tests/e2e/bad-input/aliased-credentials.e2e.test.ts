/** One secret a document: what guesses, or has mails sent, cannot be repeated by aliases. */
import { createHash } from 'node:crypto';
import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { aRedis } from '@taskflow/tests/kit/redis';
import { anOrg, PASSWORD, type TestPerson } from '@taskflow/tests/kit/seed';
import { aSupergraph, type TestSupergraph } from '@taskflow/tests/kit/supergraph';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let supergraph: TestSupergraph;
let ada: TestPerson;
let redis: RedisConnections;

beforeAll(async () => {
  const { url } = await aRedis();
  // The prefix is in the keys of the service, which are searched for as they are.
  supergraph = await aSupergraph();
  redis = createRedis({ url, log: createLog({ process: 'test', level: 'silent' }) });
  await redis.whenReady();
  ada = await anOrg(supergraph.client);
});
afterAll(() => redis.close());

const wrong = () => `input: { email: "${ada.email}", password: "wrong password" }`;
const login = (alias: string) => `${alias}: login(${wrong()}) { success }`;
const FIELDS: Record<string, string> = {
  register: `register(input: { email: "a@b.test", password: "${PASSWORD}", name: "A", organizationName: "A" }) { success }`,
  tokenRefresh: 'tokenRefresh(input: { refreshToken: "rt_x" }) { success }',
  inviteAccept: `inviteAccept(input: { token: "inv_x", name: "A", password: "${PASSWORD}" }) { success }`,
  passwordChange: `passwordChange(input: { currentPassword: "wrong", newPassword: "${PASSWORD}" }) { success }`,
  passwordResetRequest: 'passwordResetRequest(input: { email: "a@b.test" }) { success }',
  passwordReset: `passwordReset(input: { token: "pwd_x", newPassword: "${PASSWORD}" }) { success }`,
  emailVerificationSend: 'emailVerificationSend(input: {}) { success }',
  emailVerify: 'emailVerify(input: { token: "ver_x" }) { success }',
  emailChangeRequest: 'emailChangeRequest(input: { email: "a@b.test", password: "wrong" }) { success }',
  emailChangeConfirm: 'emailChangeConfirm(input: { token: "eml_x" }) { success }',
};

/** How many failures are counted for Ada, wherever from. */
async function failures(): Promise<number> {
  const account = createHash('sha256').update(ada.email).digest('hex');
  const keys = await redis.commands.keys(`*login:{${account}}:failures:*`);
  const counts = await Promise.all(keys.map((key) => redis.commands.zcard(key)));
  return counts.reduce((sum, count) => sum + count, 0);
}

const refusal = async (query: string) => {
  const { data, errors } = await ada.client.send(query);
  expect(data).toBeNull();
  return errors[0]?.extensions.code;
};

describe('a document with', () => {
  it.each([
    ['a hundred aliased logins', () => Array.from({ length: 100 }, (_, n) => login(`l${n}`)).join(' ')],
    ['two aliased logins', () => `${login('a')} ${login('b')}`],
    ['two logins, one of them in a fragment', () => `${login('a')} ... on Mutation { ${login('b')} }`],
    [
      'two logins, one of them skipped',
      () => `${login('a')} ${login('b').replace(') {', ') @skip(if: true) {')}`,
    ],
  ])('%s is refused before any of them is tried', async (_, fields) => {
    expect(await refusal(`mutation { ${fields()} }`)).toBe('OPERATION_TOO_LARGE');
    expect(await failures()).toBe(0);
  });

  it('two logins in a named fragment that is spread twice is refused', async () => {
    const query = `mutation { ...F ...G } fragment F on Mutation { ${login('a')} } fragment G on Mutation { ${login('b')} }`;
    expect(await refusal(query)).toBe('OPERATION_TOO_LARGE');
    expect(await failures()).toBe(0);
  });

  it.each(Object.keys(FIELDS))('login and %s is refused, and the same field twice', async (name) => {
    const field = FIELDS[name] ?? '';
    expect(await refusal(`mutation { ${login('a')} ${field} }`)).toBe('OPERATION_TOO_LARGE');
    expect(await refusal(`mutation { a: ${field} b: ${field} }`)).toBe('OPERATION_TOO_LARGE');
    expect(await failures()).toBe(0);
  });

  it('one login is tried, and counted once', async () => {
    const { data } = await ada.client.send(`mutation { ${login('a')} }`);
    expect(data).toEqual({ a: { success: false } });
    expect(await failures()).toBe(1);
  });
});
