/** The saved operations of the landing page: operations/<n>-<name>.graphql, with variables beside where needed. */
import { readdirSync, readFileSync } from 'node:fs';
import { Kind, parse } from 'graphql';

export interface SavedOperation {
  /** `Live tasks`, from the operation's name. */
  readonly title: string;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly query: string;
  readonly variables?: Record<string, unknown>;
}

const FOLDER = new URL('operations/', import.meta.url);

/** In the order of their file names. Throws for a file that does not hold exactly one named operation. */
export function readSavedOperations(): SavedOperation[] {
  const names = readdirSync(FOLDER).sort();
  return names.filter((name) => name.endsWith('.graphql')).map((name) => savedOperation(name, names));
}

function savedOperation(name: string, names: readonly string[]): SavedOperation {
  const query = readFileSync(new URL(name, FOLDER), 'utf8').trim();
  const [definition, ...more] = parse(query).definitions;
  if (definition?.kind !== Kind.OPERATION_DEFINITION || !definition.name || more.length > 0) {
    throw new Error(`${name} must hold exactly one named operation.`);
  }
  const beside = name.replace('.graphql', '.json');
  return {
    title: titleOf(definition.name.value),
    kind: definition.operation,
    query,
    ...(names.includes(beside)
      ? { variables: JSON.parse(readFileSync(new URL(beside, FOLDER), 'utf8')) }
      : {}),
  };
}

function titleOf(name: string): string {
  const [first = '', ...rest] = name.split(/(?=[A-Z])/);
  return [first, ...rest.map((word) => word.toLowerCase())].join(' ');
}
