import { runProcess } from '@taskflow/kit/process';
import { readOrgConfig } from './config.ts';
import { createService } from './service.ts';

await runProcess('org', () => createService(readOrgConfig(process.env)));
