import { getIntrospectionQuery, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { measureDocument } from './operation-size.ts';

const sizeOf = (text: string) => measureDocument(parse(text), ['login']);

describe('the size of a document', () => {
  it('counts levels of fields through fragments', () => {
    expect(sizeOf('{ a { ...F } } fragment F on X { b { ... on Y { c } } }').depth).toBe(3);
  });

  it('counts the levels of introspection by themselves', () => {
    const size = sizeOf('{ a { b } __schema { types { name } } }');
    expect([size.depth, size.introspectionDepth]).toEqual([2, 3]);
  });

  it('finds room for the standard introspection query', () => {
    const { depth, introspectionDepth } = sizeOf(
      getIntrospectionQuery({ descriptions: true, inputValueDeprecation: true }),
    );
    expect(depth).toBeLessThanOrEqual(10);
    expect(introspectionDepth).toBeLessThanOrEqual(15);
  });

  it('measures an exponential operation in linear time', () => {
    const doubling = Array.from(
      { length: 60 },
      (_, n) => `fragment F${n} on X { a { ...F${n + 1} } b { ...F${n + 1} } }`,
    );
    const startedAt = performance.now();
    const { selections } = sizeOf(`{ ...F0 } ${doubling.join(' ')} fragment F60 on X { c }`);
    expect(selections).toBeGreaterThan(2 ** 60);
    expect(performance.now() - startedAt).toBeLessThan(50);
  });

  it('comes to an end for a fragment that spreads itself', () => {
    expect(sizeOf('{ ...F } fragment F on X { b { ...G } } fragment G on X { ...F }').depth).toBe(1);
  });

  it('counts how often one place writes the same field', () => {
    expect(sizeOf('{ a { b b c: b } a { b } }').repeats).toBe(2);
  });

  it('counts credential fields by their names, through aliases and fragments', () => {
    expect(sizeOf('mutation { a: login ...F } fragment F on Mutation { b: login }').credentialFields).toBe(2);
  });

  it('takes the largest operation of the document', () => {
    expect(sizeOf('query A { a } query B { a { b c } }')).toMatchObject({
      depth: 2,
      selections: 3,
      rootFields: 1,
    });
  });
});
