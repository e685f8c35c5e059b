import {
  auditVariables,
  type Config,
  int,
  readConfig,
  sharedVariables,
  subgraphVariables,
} from '@taskflow/kit/config';

/** Columns are 32-bit integers. */
const LIMIT_MAX = 2_000_000_000;

const limit = (plan: string, things: string, fallback: number) =>
  int(fallback, { max: LIMIT_MAX }).describe(
    `${things} of an organisation with the plan ${plan}, at most; 0 = no limit.`,
  );

const planVariables = {
  ORG_PLAN_FREE_MEMBERS_MAX: limit('FREE', 'Members', 50),
  ORG_PLAN_FREE_PROJECTS_MAX: limit('FREE', 'Projects', 50),
  ORG_PLAN_FREE_TASKS_MAX: limit('FREE', 'Tasks that are not deleted', 20_000),
  ORG_PLAN_FREE_API_CALLS_MAX: limit('FREE', 'Operations in a calendar month (UTC)', 1_000_000),
  ORG_PLAN_TEAM_MEMBERS_MAX: limit('TEAM', 'Members', 500),
  ORG_PLAN_TEAM_PROJECTS_MAX: limit('TEAM', 'Projects', 500),
  ORG_PLAN_TEAM_TASKS_MAX: limit('TEAM', 'Tasks that are not deleted', 200_000),
  ORG_PLAN_TEAM_API_CALLS_MAX: limit('TEAM', 'Operations in a calendar month (UTC)', 10_000_000),
  ORG_PLAN_BUSINESS_MEMBERS_MAX: limit('BUSINESS', 'Members', 0),
  ORG_PLAN_BUSINESS_PROJECTS_MAX: limit('BUSINESS', 'Projects', 0),
  ORG_PLAN_BUSINESS_TASKS_MAX: limit('BUSINESS', 'Tasks that are not deleted', 0),
  ORG_PLAN_BUSINESS_API_CALLS_MAX: limit('BUSINESS', 'Operations in a calendar month (UTC)', 0),
};

export const variables = {
  ...sharedVariables,
  ...auditVariables,
  ...subgraphVariables('ORG', 4002),
  ...planVariables,
  ORG_PLAN_CHECK_MS: int(10_000, { min: 50 }).describe(
    'How often is looked for contracts that have ended and limits that have changed. They count by themselves; this tells of them.',
  ),
  ORG_USAGE_FLUSH_MS: int(10_000, { min: 50 }).describe(
    'How often the operations that routers have counted are brought into the database.',
  ),
};

export type OrgConfig = Config<typeof variables>;

/** Parses the environment; throws one ConfigError that names every problem. */
export const readOrgConfig = (env: NodeJS.ProcessEnv): OrgConfig => readConfig('org', variables, env);
