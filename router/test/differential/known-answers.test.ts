// What the gateway package is known to answer wrongly, and what is said instead: small supergraphs of one cause each.
//
// Right is what a monolith over the same data answers. `stock` is the package as it is, with its own plan; `ours` is the
// router's. Where ours is wrong as well the plan is, and an executor cannot fetch what is not planned. A line that turns
// right after an update of the package is good news: change it here, and in `planner-faults.ts`.

import { operationFromDocument } from '@apollo/federation-internals';
import { QueryPlanner } from '@apollo/query-planner';
import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { plannerHazards } from '../../src/gateway/planner-hazards.ts';
import { noFaults } from './faults.ts';
import { isSameData } from './judge.ts';
import { composed, type TestSupergraph } from './supergraph.ts';
import { createTrial, type Outcome, type Trial } from './trial.ts';

interface Known {
  cause: string;
  subgraphs: Record<string, string>;
  document: string;
  variables?: Record<string, unknown>;
  stock: 'right' | 'wrong' | 'refused';
  ours: 'right' | 'wrong' | 'refused';
}

const LINK = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [
  "@key", "@shareable", "@external", "@requires", "@interfaceObject", "@inaccessible"
])`;

const priced = {
  a: `type Query { thing: Thing }
    type Thing @key(fields: "id") { id: ID! price(in: String = "EUR"): Float }`,
  b: `type Thing @key(fields: "id") {
      id: ID!
      price(in: String = "EUR"): Float @external
      inDollars: String @requires(fields: "price(in: \\"USD\\")")
      inFrancs: String @requires(fields: "price(in: \\"CHF\\")")
    }`,
};

const interfaceObject = {
  a: `type Query { media: [Media] }
    interface Media @key(fields: "id") { id: ID! title: String }
    type Book implements Media @key(fields: "id") { id: ID! title: String }
    type Film implements Media @key(fields: "id") { id: ID! title: String }
    union Paper = Book`,
  b: `type Query { rated: [Media] }
    type Media @key(fields: "id") @interfaceObject {
      id: ID! title: String @external score: Float headline: String @requires(fields: "title")
    }`,
};

const conditional = {
  a: `schema { query: Reads }
    type Reads { thing: Thing! }
    type Thing @key(fields: "id") { id: ID! label: String! }`,
  b: `type Thing @key(fields: "id") {
      id: ID! label: String! @external age: Int! story: String! @requires(fields: "label")
    }`,
};

const known: Known[] = [
  {
    cause: '@requires with arguments, and the client asks the field with others',
    subgraphs: priced,
    document: '{ thing { price inDollars } }',
    stock: 'wrong',
    ours: 'wrong',
  },
  {
    cause: '@requires with arguments, and another @requires with others',
    subgraphs: priced,
    document: '{ thing { inDollars inFrancs } }',
    stock: 'wrong',
    ours: 'wrong',
  },
  {
    cause: '@requires of a field that has @requires itself, in the subgraph that is asked first',
    subgraphs: {
      a: 'type Thing @key(fields: "id") { id: ID! label: String }',
      b: `type Query { thing: Thing }
        type Thing @key(fields: "id") { id: ID! label: String @external story: String @requires(fields: "label") }`,
      c: `type Thing @key(fields: "id") { id: ID! story: String @external song: String @requires(fields: "story") }`,
    },
    document: '{ thing { song } }',
    stock: 'wrong',
    ours: 'wrong',
  },
  {
    cause: 'keys mashed up: of several composite ones only some are resolvable, others on each side',
    subgraphs: {
      a: `type Item @key(fields: "id") @key(fields: "code", resolvable: false)
          @key(fields: "parts { one two }", resolvable: false)
          @key(fields: "id parts { two three }", resolvable: false) {
          id: ID! code: ID! parts: Parts! name: String!
        }
        type Parts { one: ID! two: ID! three: ID! }`,
      b: `type Query { box: Box }
        type Box { items: [Item!]! }
        type Item @key(fields: "parts { one two }", resolvable: false) @key(fields: "id parts { two three }")
          @key(fields: "code", resolvable: false) @key(fields: "id", resolvable: false) {
          id: ID! code: ID! parts: Parts! name: String! @external loud: String! @requires(fields: "name")
        }
        type Parts { one: ID! two: ID! three: ID! }`,
    },
    document: '{ box { items { id name loud } } }',
    stock: 'wrong',
    ours: 'right',
  },
  {
    cause: 'an @interfaceObject by a key that is not resolvable there, and a type condition',
    subgraphs: {
      a: `type Query { item: Item }
        interface Item @key(fields: "id") { id: ID! }
        type Bread implements Item @key(fields: "id") { id: ID! }`,
      b: `type Query { other: Item }
        type Item @key(fields: "id", resolvable: false) @interfaceObject { id: ID! }`,
    },
    document: '{ other { ... on Bread { id } __typename } }',
    stock: 'right',
    ours: 'right',
  },
  {
    cause: 'an @interfaceObject whose field with @requires is asked of one implementation',
    subgraphs: interfaceObject,
    document: '{ media { score ... on Book { headline } } }',
    stock: 'wrong',
    ours: 'wrong',
  },
  {
    cause: 'the name of the interface, from an @interfaceObject, over the name of the type',
    subgraphs: interfaceObject,
    document: '{ media { ... on Book { score ... on Paper { __typename } } } }',
    stock: 'wrong',
    ours: 'right',
  },
  {
    cause: '@requires through lists of lists',
    subgraphs: {
      a: `type Query { thing: Thing }
        type Thing @key(fields: "id") { id: ID! cells: [[Cell!]!]! }
        type Cell { text: String }`,
      b: `type Thing @key(fields: "id") {
          id: ID! cells: [[Cell!]!]! @external digest: String @requires(fields: "cells { text }")
        }
        type Cell { text: String @external }`,
    },
    document: '{ thing { digest } }',
    stock: 'wrong',
    ours: 'right',
  },
  {
    cause: 'a fragment on an abstract type inside of one on another, where the type is known',
    subgraphs: {
      a: `type Query { me: User }
        interface Node { id: ID! }
        type User implements Node { id: ID! }
        type Team implements Node { id: ID! }
        union Found = User | Team`,
    },
    document: '{ me { ... on Found { ... on Node { id } } } }',
    stock: 'wrong',
    ours: 'right',
  },
  {
    cause: 'false, 0 and the empty string in a field that the plan gave another name',
    subgraphs: {
      a: `type Query { anys: [Any!]! @shareable }
        union Any = Yes | No
        type Yes @shareable { flag: Boolean! }
        type No @shareable { flag: Boolean }`,
      b: `type Query { other: Int }
        type Yes @shareable { flag: Boolean }`,
    },
    document: '{ anys { ... on Yes { flag } ... on No { flag } } }',
    stock: 'wrong',
    ours: 'right',
  },
  {
    cause: 'a condition on a field with @requires takes its neighbours along',
    subgraphs: conditional,
    document: 'query ($no: Boolean!) { thing { story @include(if: $no) age } }',
    variables: { no: false },
    stock: 'wrong',
    ours: 'right',
  },
  {
    cause: 'a condition on a fragment of the root, where a subgraph gave the root another name',
    subgraphs: conditional,
    document: 'query ($yes: Boolean!) { ... on Query @include(if: $yes) { thing { id } } }',
    variables: { yes: true },
    stock: 'wrong',
    ours: 'right',
  },
  {
    cause: 'introspection under a condition',
    subgraphs: conditional,
    document:
      'query ($no: Boolean!) { ... @include(if: $no) { ... on Query { __type(name: "Thing") { name } } } }',
    variables: { no: false },
    stock: 'refused',
    ours: 'right',
  },
  {
    cause: 'an object of which everything is left out by conditions',
    subgraphs: { a: 'type Query { me: User } type User { id: ID! }' },
    document: 'query ($yes: Boolean!) { me @include(if: $yes) { id @skip(if: true) } }',
    variables: { yes: true },
    stock: 'wrong',
    ours: 'right',
  },
];

/** So many universes of data: an answer is right when it is right in all of them. */
const WORLDS = 8;

describe('what the gateway package answers wrongly', () => {
  it.each(known)(
    '$cause: stock $stock, ours $ours',
    async ({ subgraphs, document, variables, stock, ours }) => {
      const supergraph = supergraphOf(subgraphs);
      const trial = await createTrial(supergraph);
      const random = { text: document, document: parse(document), variables: variables ?? {} };
      expect({
        stock: await standing(supergraph, trial, random, 'stock'),
        ours: await standing(supergraph, trial, random, 'ours'),
      }).toEqual({ stock, ours });
    },
  );
});

describe('a supergraph that the planner is known to plan wrongly', () => {
  it.each(known)('says so when it is loaded, and no other does: $cause', ({ subgraphs, ours }) => {
    // Introspection and conditions are no matter of the supergraph.
    const hazards = plannerHazards(supergraphOf(subgraphs).sdl);
    if (ours === 'wrong') expect(hazards).not.toEqual([]);
    else if (subgraphs !== interfaceObject) expect(hazards).toEqual([]);
  });
});

type Random = Outcome['random'];

async function standing(
  supergraph: TestSupergraph,
  trial: Trial,
  random: Random,
  who: 'stock' | 'ours',
): Promise<'right' | 'wrong' | 'refused'> {
  const plan = who === 'stock' ? ownPlan(supergraph, random) : undefined;
  if (plan === null) return 'refused';
  for (let world = 0; world < WORLDS; world++) {
    const outcome = await trial.run(random, world, noFaults, plan);
    if (!isSameData(outcome[who], outcome.monolith)) return 'wrong';
  }
  return 'right';
}

/** As the package plans it by itself, conditions and all; null when its planner throws. */
function ownPlan({ federation }: TestSupergraph, { document }: Random) {
  try {
    return new QueryPlanner(federation).buildQueryPlan(
      operationFromDocument(federation.apiSchema(), document),
    );
  } catch {
    return null;
  }
}

function supergraphOf(subgraphs: Record<string, string>): TestSupergraph {
  const sources = Object.entries(subgraphs).map(([name, sdl]) => ({
    name,
    document: parse(`${LINK}\n${sdl}`),
  }));
  return composed('known', sources);
}
