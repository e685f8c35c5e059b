import { auditVerify } from '@taskflow/kit/audit-commands';
import { keepingOf } from '@taskflow/kit/audit-retention';
import { readNotificationConfig } from '../config.ts';

export const command = auditVerify('notification', (env) => {
  const config = readNotificationConfig(env);
  return { systemUrl: config.NOTIFICATION_SYSTEM_DATABASE_URL, keeping: keepingOf(config) };
});
