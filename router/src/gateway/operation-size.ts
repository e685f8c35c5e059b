// How large a document is, measured before anything is planned.
//
// Each fragment is measured once and its size reused at every spread, so that the measuring is linear in the text
// even where the expanded operation is exponential in it.

import { type DocumentNode, Kind, type SelectionSetNode, visit } from 'graphql';
import { fragmentsOf } from './documents.ts';

export interface OperationSize {
  /** Levels of fields; those below `__schema` and `__type` count in `introspectionDepth`. */
  depth: number;
  introspectionDepth: number;
  rootFields: number;
  /** How often one selection set writes the same response name; validation compares them pair by pair. */
  repeats: number;
  /** Fields, with every fragment expanded where it is spread. */
  selections: number;
  /** As written, not expanded: a fragment with aliases may be used often. */
  aliases: number;
  directives: number;
  /** Root fields among the given names. */
  credentialFields: number;
  /** A name that must not become a key of an object. */
  reservedName: string | null;
}

interface SetSize {
  depth: number;
  introspectionDepth: number;
  selections: number;
  rootFields: number;
  repeats: number;
  credentialFields: number;
}

/** The largest value of each measure over the document's operations. */
export function measureDocument(document: DocumentNode, credentialFields: readonly string[]): OperationSize {
  const fragments = fragmentsOf(document);
  const measured = new Map<string, SetSize | 'measuring'>();

  function sizeOfFragment(name: string): SetSize {
    const known = measured.get(name);
    // A fragment within itself: has no size, and is refused by validation.
    if (known === 'measuring') return empty();
    if (known) return known;
    const fragment = fragments.get(name);
    if (!fragment) return empty();
    measured.set(name, 'measuring');
    const size = sizeOf(fragment.selectionSet);
    measured.set(name, size);
    return size;
  }

  function sizeOf(set: SelectionSetNode): SetSize {
    const size = empty();
    const written = new Map<string, number>();
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        const below = selection.selectionSet ? sizeOf(selection.selectionSet) : empty();
        const name = selection.name.value;
        const isIntrospection = name === '__schema' || name === '__type';
        size.depth = Math.max(size.depth, isIntrospection ? 1 : below.depth + 1);
        size.introspectionDepth = Math.max(
          size.introspectionDepth,
          isIntrospection ? Math.max(below.depth, below.introspectionDepth) + 1 : below.introspectionDepth,
        );
        size.selections += below.selections + 1;
        size.rootFields++;
        const responseName = selection.alias?.value ?? name;
        const times = (written.get(responseName) ?? 0) + 1;
        written.set(responseName, times);
        size.repeats = Math.max(size.repeats, below.repeats, times);
        if (credentialFields.includes(name)) size.credentialFields++;
      } else {
        const inner =
          selection.kind === Kind.FRAGMENT_SPREAD
            ? sizeOfFragment(selection.name.value)
            : sizeOf(selection.selectionSet);
        size.depth = Math.max(size.depth, inner.depth);
        size.introspectionDepth = Math.max(size.introspectionDepth, inner.introspectionDepth);
        size.selections += inner.selections;
        size.rootFields += inner.rootFields;
        size.repeats = Math.max(size.repeats, inner.repeats);
        size.credentialFields += inner.credentialFields;
      }
    }
    return size;
  }

  const total: OperationSize = { ...empty(), ...writtenIn(document) };
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const size = sizeOf(definition.selectionSet);
    for (const measure of Object.keys(size) as (keyof SetSize)[]) {
      total[measure] = Math.max(total[measure], size[measure]);
    }
  }
  return total;
}

function empty(): SetSize {
  return { depth: 0, introspectionDepth: 0, selections: 0, rootFields: 0, repeats: 0, credentialFields: 0 };
}

function writtenIn(document: DocumentNode): Pick<OperationSize, 'aliases' | 'directives' | 'reservedName'> {
  let aliases = 0;
  let directives = 0;
  let reservedName: string | null = null;
  visit(document, {
    Field(node) {
      if (node.alias) aliases++;
    },
    Directive() {
      directives++;
    },
    Name({ value }) {
      if (value === '__proto__') reservedName = value;
    },
  });
  return { aliases, directives, reservedName };
}
