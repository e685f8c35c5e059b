import { auditVerify } from '@taskflow/kit/audit-commands';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { readUserConfig } from '../config.ts';

export const command = auditVerify('user', (env) => {
  const config = readUserConfig(env);
  return { systemUrl: config.USER_SYSTEM_DATABASE_URL, keeping: keepingOf(config) };
});
