/** What the launcher itself reads, beside the variables of the processes that it starts. */
import { text } from '@taskflow/kit/config';

export const variables = {
  TASKFLOW_DIR: text('.taskflow').describe(
    'Folder with the embedded servers, their data and the generated secrets, from the root of the repository.',
  ),
  DATABASE_PASSWORD: text('insecure-for-production').describe(
    'Password of all roles of the PostgreSQL in docker-compose.yml.',
  ),
};
