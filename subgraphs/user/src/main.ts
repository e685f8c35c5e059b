import { runProcess } from '@taskflow/kit/process';
import { readUserConfig } from './config.ts';
import { createService } from './service.ts';

await runProcess('user', () => createService(readUserConfig(process.env)));
