// Leaf values as a subgraph may give them, to JSON text.
//
// The same values are good as in the gateway's own result shaping: a number for an ID stays a number, an Int is not held
// to 32 bits, a custom scalar is whatever the subgraph says it is. An enum value must be one that clients may see.

import { type GraphQLLeafType, isEnumType } from 'graphql';
import { quoted } from './values.ts';

/** JSON text, or null when the value is none of the type. */
export type LeafWriter = (value: unknown) => string | null;

const writeString: LeafWriter = (value) => (typeof value === 'string' ? quoted(value) : null);

const integerText = (value: unknown): string | null => {
  if (typeof value !== 'number' || !Number.isInteger(value)) return null;
  const text = String(value);
  // Beyond 10^21 numbers are written with an exponent, which no integer is.
  return text.includes('e') ? null : text;
};

const WRITERS: ReadonlyMap<string, LeafWriter> = new Map<string, LeafWriter>([
  ['String', writeString],
  ['ID', (value) => (typeof value === 'string' ? quoted(value) : integerText(value))],
  ['Int', integerText],
  ['Float', (value) => (typeof value === 'number' && Number.isFinite(value) ? String(value) : null)],
  ['Boolean', (value) => (value === true ? 'true' : value === false ? 'false' : null)],
]);

const writeAnything: LeafWriter = (value) => JSON.stringify(value) ?? null;

export function leafWriterOf(type: GraphQLLeafType): LeafWriter {
  if (!isEnumType(type)) return WRITERS.get(type.name) ?? writeAnything;
  const texts = new Map(type.getValues().map(({ name }) => [name, `"${name}"`]));
  return (value) => (typeof value === 'string' ? (texts.get(value) ?? null) : null);
}
