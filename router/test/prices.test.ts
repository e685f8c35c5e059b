// What operations of TaskFlow cost, and how far they are from the limit.

import { readdirSync, readFileSync } from 'node:fs';
import { buildSchema, getIntrospectionQuery, Kind, parse, validate } from 'graphql';
import { expect, it } from 'vitest';
import { readRouterConfig } from '../src/config.ts';
import { readPricing } from '../src/cost/costs.ts';
import { compileCost } from '../src/cost/operation-cost.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const { costMax, listSize, points } = readRouterConfig({}).cost;
const schema = buildSchema(read('schema/api.graphql'), { assumeValidSDL: true });
const model = { schema, ...readPricing(read('schema/supergraph.graphql'), schema), listSize };

function price(text: string): number {
  const document = parse(text);
  expect(validate(schema, document)).toEqual([]);
  const costs = document.definitions.flatMap((node) =>
    node.kind === Kind.OPERATION_DEFINITION ? [compileCost(model, document, node).requested({})] : [],
  );
  return Math.max(...costs);
}

it('the saved operations of the landing page cost a tenth of what they may, at most', () => {
  const folder = 'router/src/landing/operations';
  const files = readdirSync(new URL(`../../${folder}`, import.meta.url)).filter((name) =>
    name.endsWith('.graphql'),
  );
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) expect(price(read(`${folder}/${file}`)), file).toBeLessThan(costMax / 10);
});

it('so does a board of a hundred tasks with all who belong to them', () => {
  const people = 'assignee { id name } creator { id name }';
  const board = `{ tasks(first: 100) { nodes { id title status ${people} project { id name key } } } }`;
  expect(price(board)).toBe(401);
});

it.each([
  ['a sign-in', 'mutation { login(input: { email: "a@b.c", password: "x" }) { success } }', 51],
  [
    'a change',
    'mutation { taskCreate(input: { title: "x" }) { success userErrors { message } task { id } } }',
    13,
  ],
  ['a search that counts', '{ tasks(search: "x") { totalCount nodes { id } } }', 66],
  ['a page of an export', '{ auditLog { taskExport(format: CSV) { content } } }', 201],
])('%s has its price', (_what, text, points) => {
  expect(price(text)).toBe(points);
});

it('the schema can be read, in one operation', () => {
  expect(price(getIntrospectionQuery())).toBeLessThan(costMax / 2);
});

it('every bucket has room for the largest operation', () => {
  for (const [name, limit] of Object.entries(points))
    expect(limit?.capacity, name).toBeGreaterThanOrEqual(costMax);
});
