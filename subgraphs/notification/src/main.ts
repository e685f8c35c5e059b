import { runProcess } from '@taskflow/kit/process';
import { readNotificationConfig } from './config.ts';
import { createService } from './service.ts';

await runProcess('notification', () => createService(readNotificationConfig(process.env)));
