import { describeVariables } from '@taskflow/kit/config';
import { variables as notification } from '@taskflow/notification/config';
import { variables as org } from '@taskflow/org/config';
import { variables as task } from '@taskflow/task/config';
import { variables as user } from '@taskflow/user/config';
import { expect, it } from 'vitest';

/** PostgreSQL's default max_connections, less the three it keeps for superusers and some for people with psql. */
const SERVER_CONNECTIONS = 100 - 3 - 7;

it('the pools of all four subgraphs add up to less than a PostgreSQL with default settings allows', () => {
  const sizes = [user, org, task, notification]
    .flatMap((variables) => describeVariables(variables))
    .filter(({ name }) => name.endsWith('_POOL_SIZE'))
    .map((variable) => Number(variable.default));
  expect(sizes).toHaveLength(8);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(SERVER_CONNECTIONS);
});
