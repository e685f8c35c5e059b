import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createLog } from '@taskflow/kit/log';
import {
  buildSchema,
  GraphQLObjectType,
  getNamedType,
  getVariableValues,
  Kind,
  parse,
  TypeInfo,
  validate,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { expect, test } from 'vitest';
import { createLanding, type DemoPeople } from '../../src/landing/landing.ts';
import { readSavedOperations } from '../../src/landing/operations.ts';

const log = createLog({ process: 'test', level: 'silent' });
const schemaFile = (name: string) =>
  readFileSync(new URL(`../../../schema/${name}`, import.meta.url), 'utf8');
const api = buildSchema(schemaFile('api.graphql'), { assumeValidSDL: true });
const get = (url: string) => ({ url }) as IncomingMessage;
const ada = { name: 'Ada', email: 'ada@demo.example', role: 'ORG_ADMIN', organization: 'Acme' };

function pageWith(demo?: DemoPeople) {
  return createLanding({ log, demo, cacheDirectory: '/dev/null/landing' });
}

test('there are five saved operations, valid for the API, one of them a subscription', () => {
  const operations = readSavedOperations();
  expect(operations).toHaveLength(5);
  for (const { query, title } of operations) expect(validate(api, parse(query)), title).toEqual([]);
  expect(operations.filter(({ kind }) => kind === 'subscription').map(({ title }) => title)).toEqual([
    'Live tasks',
  ]);
});

test('the mutation that a link of a mail leads to is valid for the API, and takes the token', async () => {
  const page = new URL('../../src/landing/page/from-mail.mjs', import.meta.url).href;
  const { mailOperations, takeOperationFromMail } = await import(page);
  expect(Object.keys(mailOperations)).toEqual(['verify', 'reset', 'email-change', 'invite']);
  for (const name of Object.keys(mailOperations)) {
    const shown: string[] = [];
    const history = { replaceState: (_: null, __: string, address: string) => void shown.push(address) };
    const location = { hash: `#${name}=tok_a%2Fb`, pathname: '/', search: '?workbench=graphiql' };
    const { query, variables } = takeOperationFromMail(location, history);
    expect(validate(api, parse(query)), name).toEqual([]);
    expect(variables.input.token).toBe('tok_a/b');
    expect(coercionErrors(query, variables)).toEqual([]);
    expect(shown).toEqual(['/?workbench=graphiql']);
  }
  for (const hash of ['', '#', '#reset', '#constructor=x', '#other=x', '#reset=%', '#reset=<b>'])
    expect(takeOperationFromMail({ hash }, {}), hash).toBeNull();
});

test('the subscription and one query take fields of all four subgraphs', () => {
  const owners = ownersOfTypes();
  for (const title of ['Live tasks', 'Across subgraphs']) {
    const operation = readSavedOperations().find((candidate) => candidate.title === title);
    expect(
      [...typesOf(operation?.query ?? '')].map((name) => owners.get(name)),
      title,
    ).toEqual(expect.arrayContaining(['user', 'org', 'task', 'notification']));
  }
});

test('the page carries the demo people only where the router was told of them', async () => {
  const withPeople = await pageWith({ password: 'taskflow-demo', people: [ada] }).page(get('/'));
  expect(withPeople?.body).toContain('ada@demo.example');
  expect((await pageWith().page(get('/')))?.body).toContain('"demo":null');
});

test('the page names the mailbox where mails are caught', async () => {
  const mailboxUrl = 'http://localhost:4026';
  const page = await pageWith({ password: 'taskflow-demo', people: [ada], mailboxUrl }).page(get('/'));
  expect(page?.body).toContain('"mailboxUrl":"http://localhost:4026"');
});

test('nothing in its data can end the script element that carries it', async () => {
  const page = await pageWith({ password: '</script><script>', people: [ada] }).page(get('/'));
  expect(page?.body).not.toContain('</script><script>');
  expect(page?.body).toContain('\\u003c/script>');
});

test('it answers for its own parts and for nothing else on the disk', async () => {
  const landing = pageWith();
  for (const part of ['page.css', 'page.mjs', 'from-mail.mjs', 'session.mjs']) {
    const path = `/landing/${part}`;
    expect((await landing.page(get(path)))?.status, path).toBe(200);
  }
  for (const path of [
    '/landing/landing.ts',
    '/landing/graphiql.mjs',
    '/landing/../landing.ts',
    '/landing/%2e%2e/x',
    '/x',
  ]) {
    expect(await landing.page(get(path)), path).toBeNull();
  }
});

test('a browser at the GraphQL address is sent to the page', async () => {
  expect(await pageWith().page(get('/graphql'))).toMatchObject({ status: 302, headers: { location: '/' } });
});

test('where GraphiQL cannot be built its files are absent, and the page is not', async () => {
  const landing = pageWith();
  expect((await landing.page(get('/')))?.status).toBe(200);
  expect(await landing.page(get('/landing/graphiql/graphiql.js'))).toBeNull();
});

/** What the API would say of these variables before it runs anything. */
function coercionErrors(query: string, variables: Record<string, unknown>): readonly unknown[] {
  const [operation] = parse(query).definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) return ['no operation'];
  return getVariableValues(api, operation.variableDefinitions ?? [], variables).errors ?? [];
}

/** The subgraph in whose SDL a type has fields besides its key; types of several count for the first. */
function ownersOfTypes(): Map<string, string> {
  const own = { user: 'User', org: 'Team', task: 'Task', notification: 'NotificationCounts' };
  return new Map(Object.entries(own).map(([subgraph, type]) => [type, subgraph]));
}

function typesOf(query: string): Set<string> {
  const names = new Set<string>();
  const info = new TypeInfo(api);
  visit(
    parse(query),
    visitWithTypeInfo(info, {
      Field: () => {
        const type = getNamedType(info.getType() ?? undefined);
        if (type instanceof GraphQLObjectType) names.add(type.name);
      },
    }),
  );
  return names;
}
