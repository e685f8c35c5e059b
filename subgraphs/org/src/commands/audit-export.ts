import { auditExport } from '@taskflow/kit/audit-commands';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { readOrgConfig } from '../config.ts';

export const command = auditExport('org', (env) => {
  const config = readOrgConfig(env);
  return { systemUrl: config.ORG_SYSTEM_DATABASE_URL, keeping: keepingOf(config) };
});
