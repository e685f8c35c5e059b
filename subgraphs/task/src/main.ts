import { runProcess } from '@taskflow/kit/process';
import { readTaskConfig } from './config.ts';
import { createService } from './service.ts';

await runProcess('task', () => createService(readTaskConfig(process.env)));
