import { operationFromDocument } from '@apollo/federation-internals';
import { ApolloGateway } from '@apollo/gateway';
import type { FetchNode, PlanNode, SubscriptionNode } from '@apollo/query-planner';
import { buildSchema, parse, validate } from 'graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { composeSupergraph } from './compose.ts';

process.env.APOLLO_TELEMETRY_DISABLED = '1';

const composed = composeSupergraph();
const api = buildSchema(composed.api);
let gateway: ApolloGateway;
beforeAll(async () => {
  gateway = new ApolloGateway({ supergraphSdl: composed.supergraph });
  await gateway.load();
});
afterAll(() => gateway.stop());

function planOf(query: string) {
  const { queryPlanner } = gateway.__testing();
  if (!queryPlanner) throw new Error('the gateway has not loaded');
  const document = parse(query);
  expect(validate(api, document)).toEqual([]);
  return queryPlanner.buildQueryPlan(
    operationFromDocument(queryPlanner.supergraph.apiSchema(), document, {}),
  );
}

function fetchesOf(node: PlanNode | SubscriptionNode | undefined): FetchNode[] {
  switch (node?.kind) {
    case undefined:
      return [];
    case 'Fetch':
      return [node];
    case 'Flatten':
      return fetchesOf(node.node);
    case 'Sequence':
    case 'Parallel':
      return node.nodes.flatMap(fetchesOf);
    case 'Subscription':
      return [node.primary, ...fetchesOf(node.rest)];
    default:
      throw new Error(`unexpected node ${node?.kind}`);
  }
}

const namesIn = (fetches: FetchNode[]) => fetches.map(({ serviceName }) => serviceName);

test('the gateway accepts the supergraph', () => {
  expect(gateway.schema?.getSubscriptionType()?.getFields()).toHaveProperty('taskEvents');
});

test('a subscription over all four subgraphs is planned as one stream and the rest of each event', () => {
  const { node } = planOf(`
    subscription {
      taskEvents {
        __typename
        ... on TaskChange {
          cursor kind version
          task {
            title
            assignee { name notificationCounts { unread } }
            project { name teams { name } }
          }
          actor { name }
        }
        ... on StreamHeartbeat { cursor }
        ... on ResyncRequired { cursor reason }
      }
    }`);
  expect(node).toMatchObject({ kind: 'Subscription', primary: { kind: 'Fetch', serviceName: 'task' } });
  const rest = namesIn(fetchesOf(node).slice(1));
  expect(new Set(rest)).toEqual(new Set(['user', 'org', 'notification']));
  // One fetch for each place that a subgraph answers: user twice (assignee, actor).
  expect(rest.length).toBe(4);
});

test('a stream of notifications is planned with its task and actor', () => {
  const { node } = planOf(
    'subscription { notificationEvents { ... on NotificationChange { notification { title task { key } actor { name } } counts { unread } } } }',
  );
  expect(node).toMatchObject({ kind: 'Subscription', primary: { serviceName: 'notification' } });
  expect(new Set(namesIn(fetchesOf(node).slice(1)))).toEqual(new Set(['task', 'user']));
});

test('signing in and asking for the organisation at once goes to user, then to org', () => {
  const { node } = planOf(
    'mutation ($input: LoginInput!) { login(input: $input) { success user { name organization { name } } } }',
  );
  expect(namesIn(fetchesOf(node as PlanNode))).toEqual(['user', 'org']);
});

test('a conflict carries its entity, whichever subgraph it comes from', () => {
  const { node } = planOf(`
    mutation ($task: TaskUpdateInput!, $team: TeamUpdateInput!) {
      taskUpdate(input: $task) { userErrors { ...conflict } }
      teamUpdate(input: $team) { userErrors { ...conflict } }
    }
    fragment conflict on UserError {
      code message
      ... on ConflictError { changedFields current { ... on Task { title } ... on Team { name } } }
    }`);
  expect(namesIn(fetchesOf(node as PlanNode))).toEqual(['task', 'org']);
});

test('a list of tasks asks each other subgraph once, not once per task', () => {
  const { node } = planOf('{ tasks { nodes { title assignee { name } project { name progress } } } }');
  expect(namesIn(fetchesOf(node as PlanNode)).sort()).toEqual(['org', 'task', 'user']);
});
