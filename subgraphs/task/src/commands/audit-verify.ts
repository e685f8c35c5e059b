import { auditVerify } from '@taskflow/kit/audit-commands';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { readTaskConfig } from '../config.ts';

export const command = auditVerify('task', (env) => {
  const config = readTaskConfig(env);
  return { systemUrl: config.TASK_SYSTEM_DATABASE_URL, keeping: keepingOf(config) };
});
