import { parseKeyRing } from '@taskflow/kit/config';
import { createSealer } from '@taskflow/kit/seal';
import { bindingOfMail } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';
import { expect, it } from 'vitest';
import { createMails } from './mails.ts';

const sealer = createSealer(parseKeyRing(`k:${'s'.repeat(32)}`));
const request = {
  ...{ orgId: uuidv7(), to: 'ada@acme.test', actorId: null, requestId: 'request-1' },
  ...{ template: 'PASSWORD_RESET' as const, values: { name: 'Ada' }, token: 'pwd_0198_secret' },
};

it('a fact that asks for a mail holds its token sealed, for this template and this recipient', () => {
  const fact = createMails(sealer).requested(request);
  expect(JSON.stringify(fact)).not.toContain('secret');
  expect(fact.after).toMatchObject({ to: 'ada@acme.test', template: 'PASSWORD_RESET', locale: null });
  expect(sealer.open(fact.after.sealed ?? '', bindingOfMail(fact.after))).toBe('pwd_0198_secret');
  const elsewhere = bindingOfMail({ ...fact.after, to: 'eve@acme.test' });
  expect(sealer.open(fact.after.sealed ?? '', elsewhere)).toBeNull();
});

it('two requests are two mails', () => {
  const mails = createMails(sealer);
  expect(mails.requested(request).aggregate.id).not.toBe(mails.requested(request).aggregate.id);
});
