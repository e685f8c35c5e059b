// Requests that cost little to send and would cost much to answer, over TaskFlow's own supergraph: each as the body of a
// POST, with the code that it is refused with. The test asserts that none of them is planned or reaches a subgraph;
// `node router/test/measure-hostile.ts` measures how long each holds the event loop.

export interface Hostile {
  readonly name: string;
  readonly code: string;
  readonly body: string;
}

const times = (count: number, one: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => one(n)).join(' ');
const nested = (levels: number, open: string, leaf = 'id', close = '}'): string =>
  open.repeat(levels) + leaf + close.repeat(levels);
const ID = '0199aaaa-0000-7000-8000-000000000001';

const TOO_LARGE = 'OPERATION_TOO_LARGE';
const TOO_EXPENSIVE = 'COST_LIMIT_EXCEEDED';
const INVALID = 'GRAPHQL_VALIDATION_FAILED';

const doubling = (fragments: number, field: string) =>
  `{ viewer { ...F0 } } ${times(fragments, (n) => `fragment F${n} on User { a${n}: ${field} ...F${n + 1} ...F${n + 1} }`)} fragment F${fragments} on User { id }`;

type Entry = readonly [name: string, code: string, query: string, variables?: object];

const documents: readonly Entry[] = [
  // Cost: small texts, large answers.
  [
    'lists within lists',
    TOO_EXPENSIVE,
    '{ tasks(first: 100) { nodes { project { tasks(first: 100) { nodes { title } } } } } }',
  ],
  [
    'lists within lists, by variables',
    TOO_EXPENSIVE,
    'query ($n: Int!) { tasks(first: $n) { nodes { project { tasks(first: $n) { nodes { title } } } } } }',
    { n: 100 },
  ],
  [
    'three levels of lists, hidden in fragments',
    TOO_EXPENSIVE,
    '{ tasks(first: 50) { nodes { ...P } } } fragment P on Task { project { teams { ...T } } } fragment T on Team { members(first: 100) { nodes { user { teams { id } } } } }',
  ],
  [
    'edges and nodes of one page',
    TOO_EXPENSIVE,
    '{ tasks(first: 100) { edges { node { project { tasks(first: 50) { edges { node { id } } nodes { id } } } } } } }',
  ],
  ['a page of two thousand million', TOO_EXPENSIVE, '{ tasks(first: 2147483647) { nodes { id } } }'],
  ['the same from the end', TOO_EXPENSIVE, '{ tasks(last: 2147483647) { nodes { id } } }'],
  [
    'the same by a default',
    TOO_EXPENSIVE,
    'query ($n: Int = 2147483647) { tasks(first: $n) { nodes { id } } }',
  ],
  [
    'thirty large pages by aliases',
    TOO_EXPENSIVE,
    `{ viewer { ${times(29, (n) => `a${n}: teams { members(first: 100) { nodes { user { id } } } }`)} } }`,
  ],
  [
    'twenty roots of large pages',
    TOO_EXPENSIVE,
    `{ ${times(20, (n) => `a${n}: tasks(first: 100) { nodes { assignee { id } project { id } creator { id } } }`)} }`,
  ],
  ['the team tree, down its children', TOO_EXPENSIVE, `{ teamTree { ${nested(7, 'children { ')} } }`],
  [
    'a circle through people and teams',
    TOO_EXPENSIVE,
    '{ users(first: 100) { nodes { teams { members(first: 100) { nodes { user { teams { id } } } } } } } }',
  ],
  [
    'twenty searches that count',
    TOO_EXPENSIVE,
    `{ ${times(20, (n) => `a${n}: tasks(search: "x", first: 100) { totalCount nodes { project { teams { id } } } }`)} }`,
  ],
  [
    'a list of ten thousand ids',
    TOO_LARGE,
    'query ($ids: [ID!]) { tasks(filter: { assignee: { in: $ids } }) { nodes { id } } }',
    { ids: Array(10_000).fill(ID) },
  ],
  [
    'a filter of ten thousand alternatives',
    TOO_LARGE,
    'query ($f: TaskFilter) { tasks(filter: $f) { nodes { id } } }',
    { f: { or: Array(10_000).fill({ status: { eq: 'TODO' } }) } },
  ],
  [
    'twenty mutations of two hundred ids',
    TOO_EXPENSIVE,
    `mutation ($ids: [ID!]) { ${times(20, (n) => `a${n}: notificationMarkRead(input: { ids: $ids }) { success }`)} }`,
    { ids: Array(250).fill(ID) },
  ],
  [
    'introspection twenty times over',
    TOO_EXPENSIVE,
    `{ ${times(20, (n) => `a${n}: __schema { types { fields { args { type { name } } type { name fields { name type { name } } } } } }`)} }`,
  ],
  [
    'a list of four thousand ids, twice',
    TOO_EXPENSIVE,
    'query ($ids: [ID!]) { tasks(filter: { assignee: { in: $ids }, creator: { in: $ids } }) { nodes { id } } }',
    { ids: Array(4_000).fill(ID) },
  ],
  // Size: what takes long to read.
  ['a thousand fields', TOO_LARGE, `{ viewer { ${times(1_000, () => 'id')} } }`],
  ['a hundred aliases', TOO_LARGE, `{ viewer { ${times(100, (n) => `a${n}: id`)} } }`],
  [
    'five hundred directives on a field',
    TOO_LARGE,
    `{ viewer { id ${times(400, () => '@include(if:true)').slice(0, 8_000)} } }`,
  ],
  ['a field written many times', TOO_LARGE, `{ viewer { ${times(300, () => 'name')} } }`],
  ['fragments that double', TOO_LARGE, doubling(25, 'name')],
  ['fragments that double without end', TOO_LARGE, doubling(60, 'id').replace(/a\d+: id/g, '')],
  ['levels upon levels', TOO_LARGE, `{ viewer { teams { ${nested(60, 'parent { ')} } } }`],
  [
    'nested introspection',
    TOO_LARGE,
    `{ __schema { types { ${nested(9, 'fields { type { ', 'name', '} }')} } } }`,
  ],
  [
    'circular introspection',
    INVALID,
    '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }',
  ],
  ['a document of half a megabyte', TOO_LARGE, `{ viewer { id } } #${'x'.repeat(500_000)}`],
  [
    'a string of a hundred kilobytes',
    TOO_LARGE,
    `{ tasks(search: "${'x'.repeat(100_000)}") { nodes { id } } }`,
  ],
  ['braces alone', TOO_LARGE, '{'.repeat(10_000)],
  ['lists alone', TOO_LARGE, `{ tasks(first: ${'['.repeat(5_000)}`],
  ['a hundred root fields', TOO_LARGE, `{ ${times(100, () => 'viewer { id }')} }`],
  ['hundreds of operations', TOO_LARGE, times(330, (n) => `query Q${n} { viewer { id } }`)],
  [
    'ten logins',
    TOO_LARGE,
    `mutation { ${times(10, (n) => `a${n}: login(input: { email: "a@b.c", password: "x" }) { success }`)} }`,
  ],
  // Validation: what takes long to compare.
  [
    'a fragment within itself',
    INVALID,
    '{ viewer { ...A } } fragment A on User { ...B } fragment B on User { ...A }',
  ],
  [
    'fields that conflict pair by pair',
    TOO_LARGE,
    `{ ${times(150, (n) => `tasks(first: ${n}) { nodes { id } }`)} }`,
  ],
  [
    'nine hundred unknown fields',
    INVALID,
    `{ ${times(19, (n) => `unknown${n}`)} viewer { ${times(900, (n) => `unknown${n}`)} } }`,
  ],
  ['variables that nobody uses', INVALID, `query (${times(200, (n) => `$v${n}: Int`)}) { viewer { id } }`],
  ['an integer beyond 32 bits', INVALID, '{ tasks(first: 99999999999999999999) { nodes { id } } }'],
  ['an integer of ten thousand digits', INVALID, `{ tasks(first: ${'9'.repeat(10_000)}) { nodes { id } } }`],
  [
    'a variable beyond 32 bits',
    'BAD_USER_INPUT',
    'query ($n: Int) { tasks(first: $n) { nodes { id } } }',
    { n: 1e300 },
  ],
];

export const hostile: readonly Hostile[] = [
  ...documents.map(([name, code, query, variables]) => ({
    name,
    code,
    body: JSON.stringify({ query, variables }),
  })),
  {
    name: 'a batch of ten',
    code: 'BAD_REQUEST',
    body: JSON.stringify(Array(10).fill({ query: '{ viewer { id } }' })),
  },
  {
    name: 'variables that nest',
    code: TOO_LARGE,
    body: `{"query":"{ viewer { id } }","variables":{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`,
  },
  {
    name: 'a body over a megabyte',
    code: TOO_LARGE,
    body: JSON.stringify({ query: `{ viewer { id } } # ${'x'.repeat(1_100_000)}` }),
  },
];
