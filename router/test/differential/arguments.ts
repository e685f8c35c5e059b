// Arguments of a random document: literals and variables of every input type, and the variables' values.

import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import type { Trait } from './documents.ts';
import { drawn, hashOf, isDrawn } from './hash.ts';

export interface Arguments {
  /** `(a: 1, b: $v0)`, or nothing. 0 gives only what is required. */
  of(field: GraphQLField<unknown, unknown>, wanted: number): string;
  /** `true`, `false` or a variable. */
  boolean(wanted: number): string;
  /** `($v0: Int = 1, …)`, or nothing. */
  definitions(): string;
  variables(): Record<string, unknown>;
}

interface Variable {
  name: string;
  type: string;
  initial: string | null;
}

/** Written as GraphQL and as JSON: the same value. */
interface Written {
  literal: string;
  json: unknown;
}

export function createArguments(seed: number, found: Set<Trait>): Arguments {
  const variables: Variable[] = [];
  const values: Record<string, unknown> = {};

  function variable(type: GraphQLInputType, text: string, depth: number): string {
    found.add('variable');
    const old = variables.find((one) => one.type === String(type));
    if (old && isDrawn(0.4, `reuse ${text}`)) return `$${old.name}`;
    const name = `v${variables.length}`;
    const hasInitial = isDrawn(0.3, `initial ${text}`);
    const initial = hasInitial ? inputOf(type, `${text} initial`, depth, false).literal : null;
    variables.push({ name, type: String(type), initial });
    const mayBeAbsent = hasInitial || !isNonNullType(type);
    if (!(mayBeAbsent && isDrawn(0.3, `absent ${text}`))) {
      values[name] = inputOf(type, `${text} value`, depth, false).json;
    }
    return `$${name}`;
  }

  function inputOf(type: GraphQLInputType, text: string, depth: number, mayVary: boolean): Written {
    if (mayVary && isDrawn(0.35, `variable ${text}`)) {
      return { literal: variable(type, text, depth), json: null };
    }
    if (isNonNullType(type)) return present(type.ofType, text, depth, mayVary);
    if (isDrawn(0.15, `null ${text}`)) return { literal: 'null', json: null };
    return present(type, text, depth, mayVary);
  }

  function present(type: GraphQLInputType, text: string, depth: number, mayVary: boolean): Written {
    if (isListType(type)) {
      // A single value stands for a list of one; what is a variable is never made a list.
      if (isDrawn(0.1, `single ${text}`)) return present(bare(type.ofType), `${text} one`, depth, false);
      const length = depth > 3 ? 0 : hashOf(`length ${text}`) % 3;
      const items = Array.from({ length }, (_, at) =>
        inputOf(type.ofType, `${text}[${at}]`, depth + 1, mayVary),
      );
      return {
        literal: `[${items.map(({ literal }) => literal).join(', ')}]`,
        json: items.map(({ json }) => json),
      };
    }
    if (isInputObjectType(type)) {
      const given = Object.values(type.getFields())
        .filter((one) => isRequiredInputField(one) || (depth < 3 && isDrawn(0.5, `${text}.${one.name}`)))
        .map((one) => ({
          name: one.name,
          ...inputOf(one.type, `${text}.${one.name}`, depth + 1, mayVary),
        }));
      return {
        literal: `{${given.map(({ name, literal }) => `${name}: ${literal}`).join(', ')}}`,
        json: Object.fromEntries(given.map(({ name, json }) => [name, json])),
      };
    }
    if (isEnumType(type)) {
      const value = drawn(type.getValues(), text).name;
      return { literal: value, json: value };
    }
    const json = scalarOf(String(type), text);
    return { literal: JSON.stringify(json), json };
  }

  function argument({ name, type }: GraphQLArgument, text: string): string {
    return `${name}: ${inputOf(type, `${text}.${name}`, 0, true).literal}`;
  }

  return {
    of({ name, args }, wanted) {
      const text = `${seed} ${wanted} ${name}`;
      const given = args.filter(
        (one) => isRequiredArgument(one) || (wanted > 0 && isDrawn(0.5, `give ${text} ${one.name}`)),
      );
      if (given.length === 0) return '';
      found.add('argument');
      return `(${given.map((one) => argument(one, text)).join(', ')})`;
    },
    boolean(wanted) {
      const text = `${seed} boolean ${wanted}`;
      if (isDrawn(0.4, text)) return String(isDrawn(0.5, `${text} constant`));
      found.add('variable');
      const old = variables.find(({ type }) => type === 'Boolean!');
      if (old && isDrawn(0.5, `${text} reuse`)) return `$${old.name}`;
      const name = `v${variables.length}`;
      const initial = isDrawn(0.3, `${text} initial`) ? String(isDrawn(0.5, `${text} which`)) : null;
      variables.push({ name, type: 'Boolean!', initial });
      if (!(initial && isDrawn(0.5, `${text} absent`))) values[name] = isDrawn(0.5, `${text} value`);
      return `$${name}`;
    },
    definitions() {
      if (variables.length === 0) return '';
      const each = variables.map(
        ({ name, type, initial }) => `$${name}: ${type}${initial === null ? '' : ` = ${initial}`}`,
      );
      return `(${each.join(', ')})`;
    },
    variables: () => values,
  };
}

function bare(type: GraphQLInputType): GraphQLInputType {
  return isNonNullType(type) ? type.ofType : type;
}

function scalarOf(scalar: string, text: string): unknown {
  const hash = hashOf(text);
  switch (scalar) {
    case 'Int':
      return hash % 7;
    case 'Float':
      return (hash % 40) / 4;
    case 'Boolean':
      return hash % 2 === 0;
    case 'ID':
      return hash % 4 === 0 ? hash % 10 : `id-${hash % 10}`;
    case 'String':
      return drawn(['', 'a', 'b "c"', 'ü☃'], text);
    default:
      return drawn<unknown>(['2026-01-01', 5, true], text);
  }
}
