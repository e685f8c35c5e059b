import { auditVerify } from '@taskflow/kit/audit-commands';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { readOrgConfig } from '../config.ts';

export const command = auditVerify('org', (env) => {
  const config = readOrgConfig(env);
  return { systemUrl: config.ORG_SYSTEM_DATABASE_URL, keeping: keepingOf(config) };
});
