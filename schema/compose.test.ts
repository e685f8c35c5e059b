import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSchema, isInputObjectType, isObjectType } from 'graphql';
import { afterEach, describe, expect, test } from 'vitest';
import { CompositionError, composeSupergraph, staleFiles } from './compose.ts';
import { type ReadSdl, readSdlFile } from './sdl.ts';

/** The SDL files with one replacement in one of them, which must apply. */
function changed(file: Parameters<ReadSdl>[0], from: string | RegExp, to: string): ReadSdl {
  return (name) => {
    if (name !== file) return readSdlFile(name);
    const text = readSdlFile(name).replace(from, to);
    expect(text).not.toBe(readSdlFile(name));
    return text;
  };
}

function problemsOf(readSdl: ReadSdl): readonly string[] {
  try {
    composeSupergraph(readSdl);
  } catch (error) {
    if (error instanceof CompositionError) return error.problems;
    throw error;
  }
  return [];
}

describe('the committed files', () => {
  test('are what the SDL files compose to', () => {
    expect(staleFiles(composeSupergraph())).toEqual([]);
  });

  test('are stale, both, as soon as a field is added', () => {
    const readSdl = changed(
      'task',
      'type TaskChange {',
      'type TaskChange {\n  "How many there were."\n  n: Int',
    );
    expect(staleFiles(composeSupergraph(readSdl))).toEqual([
      'schema/supergraph.graphql',
      'schema/api.graphql',
    ]);
  });

  test('do not depend on when or how often they are composed', () => {
    expect(composeSupergraph()).toEqual(composeSupergraph());
  });
});

describe('the command', () => {
  const cleanups: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup();
  });

  test('with --check fails on a changed SDL file and names the way out; writing makes it pass', async () => {
    const schema = await aCopy();
    const file = join(schema, 'task.graphql');
    expect(await run(schema, '--check')).toMatchObject({ code: 0 });

    await writeFile(file, (await readFile(file, 'utf8')).replace('One task by', 'A single task by'));
    const red = await run(schema, '--check');
    expect(red.code).toBe(1);
    expect(red.stderr).toContain(
      'schema/supergraph.graphql and schema/api.graphql out of date. Run `npm run compose` and commit the result.',
    );

    expect(await run(schema)).toMatchObject({ code: 0 });
    expect(await run(schema, '--check')).toMatchObject({ code: 0 });
  });

  test('on SDL that does not compose writes nothing and says where the problem is', async () => {
    const schema = await aCopy();
    const before = await readFile(join(schema, 'supergraph.graphql'), 'utf8');
    const people = 'type User @key(fields: "id") { id: ID! }'; // what all promise alike refers to them
    await writeFile(join(schema, 'org.graphql'), `type Query { organization: Organisation! }\n${people}`);
    const result = await run(schema);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('schema/org.graphql:1');
    expect(result.stderr).not.toContain('    at ');
    expect(await readFile(join(schema, 'supergraph.graphql'), 'utf8')).toBe(before);
  });

  async function aCopy(): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'taskflow-schema-'));
    cleanups.push(() => rm(root, { recursive: true }));
    const here = fileURLToPath(new URL('.', import.meta.url));
    await symlink(join(here, '../node_modules'), join(root, 'node_modules'));
    await cp(here, join(root, 'schema'), {
      recursive: true,
      filter: (path) => !path.endsWith('node_modules'),
    });
    return join(root, 'schema');
  }

  function run(schema: string, ...options: string[]): Promise<{ code: number; stderr: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, [join(schema, 'compose.ts'), ...options], (error, _stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stderr }),
      );
    });
  }
});

describe('composition refuses', () => {
  test('what a subgraph got wrong, with its file and line', () => {
    const problems = problemsOf(changed('task', /^ {2}tags: \[String!\]!/m, '  tags: [Label!]!'));
    expect(problems.join()).toMatch(/schema\/task\.graphql:\d+: .*Unknown type Label/);
  });

  test('bad syntax, with its file and line', () => {
    const problems = problemsOf(changed('org', 'type Project @key(fields: "id") {', 'type Project @key('));
    expect(problems.join()).toMatch(/^schema\/org\.graphql:\d+: Syntax Error/);
  });

  test.each([
    ['a type', 'PageInfo', /"""\nWhere a page stands[^"]*"""\n/],
    ['a field', 'PageInfo.endCursor', /"""\n {2}The cursor of the last item[^"]*"""\n/],
    ['an enum value', 'OrderDirection.ASC', /"""\n {2}The smallest or oldest[^"]*"""\n/],
    ['an input field', 'StringComparator.eq', /"""\n {2}The text equals[^"]*"""\n/],
  ])('%s without a description', (_what, name, description) => {
    expect(problemsOf(changed('conventions', description, ''))).toEqual([`${name} has no description.`]);
  });

  test('an argument without a description', () => {
    const readSdl = changed('task', /"""\n {4}The identifier of the task\.\n {4}"""\n/, '');
    expect(problemsOf(readSdl)).toEqual(['Query.task(id) has no description.']);
  });

  test('a description that is no sentence', () => {
    const readSdl = changed('task', 'How far the task has come.', 'status of task');
    expect(problemsOf(readSdl)).toEqual(['Task.status is not described in full sentences: "status of task"']);
  });

  test('@shared that two subgraphs do not say alike, since composition would keep either', () => {
    const readSdl = changed(
      'notification',
      'type User @key(fields: "id") {\n  id: ID! @shared(by: TENANT)',
      'type User @key(fields: "id") {\n  id: ID!',
    );
    expect(problemsOf(readSdl)).toEqual([
      'User.id has @shared(by: TENANT) in user and no @shared in notification: say it alike.',
    ]);
  });

  test('@shared among a role that there is not, or among roles of a whole tenant', () => {
    expect(problemsOf(changed('task', '["ORG_ADMIN"]', '["ORGADMIN"]'))).toEqual([
      'task: Subscription.taskEvents is shared by "ORGADMIN", which is no role.',
    ]);
    expect(problemsOf(changed('task', 'by: ROLE, roles', 'by: TENANT, roles'))).toEqual([
      'task: Subscription.taskEvents is shared by the tenant and names roles: only ROLE has some.',
    ]);
  });

  test('@requires that selects a field with arguments, which the planner answers wrongly', () => {
    const readSdl = changed(
      'task',
      'type Project @key(fields: "id") {\n  id: ID! @shared(by: TENANT)',
      `type Project @key(fields: "id") {
  id: ID! @shared(by: TENANT)
  name(short: Boolean): String! @federation__external
  "A label."
  label: String @federation__requires(fields: "name(short: true)")`,
    );
    expect(problemsOf(readSdl)).toEqual([
      expect.stringMatching(/^task: @requires on "label" selects a field with arguments/),
    ]);
  });
});

describe('composition refuses, because the router could not price it,', () => {
  test('a connection that does not say which arguments size it', () => {
    const readSdl = changed('task', /\): TaskConnection! @listSize\(.*\)/, '): TaskConnection!');
    expect(problemsOf(readSdl)).toEqual([
      expect.stringMatching(/^task: Query\.tasks is a connection: it needs @listSize\(.*\["first", "last"\]/),
    ]);
  });

  test('a list of objects without an assumed size', () => {
    const readSdl = changed('org', /children: \[Team!\]! @listSize\(.*\)/, 'children: [Team!]!');
    expect(problemsOf(readSdl)).toEqual([
      'org: Team.children is a list of objects: it needs @listSize(assumedSize: …).',
    ]);
  });
});

describe('conventions', () => {
  const api = buildSchema(composeSupergraph().api);
  const objects = Object.values(api.getTypeMap()).filter(isObjectType);
  const fieldsOf = (name: string) => {
    const type = api.getType(name);
    return isObjectType(type) || isInputObjectType(type) ? Object.keys(type.getFields()) : [];
  };

  test('every mutation takes one input, or nothing, and answers with a payload', () => {
    for (const field of Object.values(api.getMutationType()?.getFields() ?? {})) {
      expect(field.args.map((arg) => `${arg.name}: ${arg.type}`)).toEqual(
        field.name === 'logout' ? [] : [expect.stringMatching(/^input: \w+Input!$/)],
      );
      expect(String(field.type)).toMatch(/Payload!$/);
    }
  });

  test('every payload has the same four fields beside its entity', () => {
    for (const { name } of objects.filter((type) => type.name.endsWith('Payload'))) {
      expect(fieldsOf(name)).toEqual(
        expect.arrayContaining(['success', 'userErrors', 'syncId', 'clientMutationId']),
      );
    }
  });

  test('every input of an update takes the version it is based on', () => {
    for (const name of Object.keys(api.getTypeMap()).filter((name) => /(Update|Delete)Input$/.test(name))) {
      expect(fieldsOf(name), name).toContain('expectedVersion');
    }
  });

  test('every connection has edges, nodes, pageInfo and a nullable totalCount', () => {
    for (const type of objects.filter(({ name }) => name.endsWith('Connection'))) {
      expect(fieldsOf(type.name)).toEqual(['edges', 'nodes', 'pageInfo', 'totalCount']);
      expect(String(type.getFields().totalCount?.type)).toBe('Int');
    }
  });
});
