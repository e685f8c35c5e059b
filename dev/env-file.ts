/** `.env` at the root: what is set for this run wins over the file; PORT as well, which is short for its ROUTER_PORT. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export function loadEnvFile(root: string): void {
  if (process.env.PORT) process.env.ROUTER_PORT ||= process.env.PORT;
  if (existsSync(join(root, '.env'))) process.loadEnvFile(join(root, '.env'));
}
