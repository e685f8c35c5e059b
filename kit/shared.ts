/**
 * What may be read once for many viewers, as the SDL says it: `@shared(by: TENANT | ROLE, roles: […])` on fields.
 *
 *   marks of an SDL ─▶ reach of an operation: the narrowest mark of all that it selects ─▶ does it cover this role?
 *
 * Fails closed: a field without a mark, of whatever type a selection may come to, leaves no reach at all. Asked twice,
 * by the router before it shares a subscription and by each subgraph before it answers a group of viewers.
 */
import {
  type DirectiveNode,
  type DocumentNode,
  type GraphQLSchema,
  isAbstractType,
  Kind,
  OperationTypeNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';

/** Among whom a value is the same: the whole tenant, or those of one role; `roles` null: of any role. */
export type Reach =
  | { readonly by: 'TENANT' }
  | { readonly by: 'ROLE'; readonly roles: ReadonlySet<string> | null };

/** By coordinate: `Task.title`. */
export type SharedMarks = ReadonlyMap<string, Reach>;

/** The marks of an SDL. `directive`: the name that it gives to ours. */
export function marksIn(document: DocumentNode, directive = 'shared'): SharedMarks {
  const marks = new Map<string, Reach>();
  for (const definition of document.definitions) {
    if (!('fields' in definition) || !('name' in definition)) continue;
    for (const field of definition.fields ?? []) {
      const mark = field.directives?.find(({ name }) => name.value === directive);
      const reach = mark && reachOf(mark);
      if (reach) marks.set(`${definition.name.value}.${field.name.value}`, reach);
    }
  }
  return marks;
}

/** Null for what we do not know how to keep. */
function reachOf({ arguments: given = [] }: DirectiveNode): Reach | null {
  const argumentOf = (name: string) => given.find((argument) => argument.name.value === name)?.value;
  const by = argumentOf('by');
  const roles = argumentOf('roles') ?? { kind: Kind.NULL };
  if (by?.kind !== Kind.ENUM) return null;
  if (by.value === 'TENANT' && roles.kind === Kind.NULL) return { by: 'TENANT' };
  if (by.value !== 'ROLE') return null;
  if (roles.kind === Kind.NULL) return { by: 'ROLE', roles: null };
  if (roles.kind !== Kind.LIST) return null;
  return {
    by: 'ROLE',
    roles: new Set(roles.values.flatMap((role) => (role.kind === Kind.STRING ? [role.value] : []))),
  };
}

/**
 * The reach of everything that an operation selects, through fragments and whatever its directives and variables say; null when
 * something is for one viewer alone. `isExempt`: coordinates that name no data of their own.
 */
export function reachOfOperation(
  marks: SharedMarks,
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName?: string | null,
  isExempt: (coordinate: string) => boolean = () => false,
): Reach | null {
  const types = new TypeInfo(schema);
  let reach: Reach | null = { by: 'TENANT' };
  const look = (coordinate: string) => {
    if (!isExempt(coordinate)) reach = narrowest(reach, marks.get(coordinate) ?? null);
  };
  visit(
    document,
    visitWithTypeInfo(types, {
      OperationDefinition: ({ name }) => (operationName && name?.value !== operationName ? false : undefined),
      Field({ name }) {
        const parent = types.getParentType();
        if (!parent) reach = null;
        if (!parent || name.value === '__typename') return;
        look(`${parent.name}.${name.value}`);
        if (!isAbstractType(parent)) return;
        for (const possible of schema.getPossibleTypes(parent)) look(`${possible.name}.${name.value}`);
      },
    }),
  );
  return reach;
}

function narrowest(one: Reach | null, other: Reach | null): Reach | null {
  if (one === null || other === null) return null;
  if (one.by === 'TENANT') return other;
  if (other.by === 'TENANT') return one;
  if (one.roles === null || other.roles === null) return one.roles === null ? other : one;
  return { by: 'ROLE', roles: new Set([...one.roles].filter((role) => other.roles?.has(role))) };
}

/** Whether those of this role read the same; without a role, whether everybody does. */
export function covers(reach: Reach | null, role: string | undefined): boolean {
  if (reach === null) return false;
  if (reach.by === 'TENANT') return true;
  return role !== undefined && (reach.roles === null || reach.roles.has(role));
}

/** What a subgraph is asked for on behalf of a group: the entities of an event, which are looked at themselves. */
const isEntities = (coordinate: string) => coordinate === 'Query._entities';

export interface SharedFields {
  /** Whether a group of viewers may have the answer to this operation; a group without a role is the whole tenant. */
  areAllIn(
    document: DocumentNode,
    operationName: string | null | undefined,
    role: string | undefined,
  ): boolean;
}

/** For a subgraph: reads of entities and subscriptions, of marked fields alone. */
export function createSharedFields(typeDefs: DocumentNode, schema: GraphQLSchema): SharedFields {
  const marks = marksIn(typeDefs);
  const known = new WeakMap<DocumentNode, Map<string, Reach | null>>();

  function reachIn(document: DocumentNode, operationName: string | null | undefined): Reach | null {
    const isMutation = document.definitions.some(
      (node) => node.kind === Kind.OPERATION_DEFINITION && node.operation === OperationTypeNode.MUTATION,
    );
    return isMutation ? null : reachOfOperation(marks, schema, document, operationName, isEntities);
  }

  return {
    areAllIn(document, operationName, role) {
      const ofDocument = known.get(document) ?? new Map<string, Reach | null>();
      known.set(document, ofDocument);
      const name = operationName ?? '';
      const reach = ofDocument.has(name) ? (ofDocument.get(name) ?? null) : reachIn(document, operationName);
      ofDocument.set(name, reach);
      return covers(reach, role);
    },
  };
}
