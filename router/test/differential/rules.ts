// What the federation directives of the subgraphs say, as questions that the data model asks.

import {
  type ConstDirectiveNode,
  type FieldDefinitionNode,
  type GraphQLField,
  type InterfaceTypeDefinitionNode,
  isInterfaceType,
  isObjectType,
  Kind,
  type ObjectTypeDefinitionNode,
  type ObjectTypeExtensionNode,
  parse,
  type SelectionSetNode,
} from 'graphql';
import type { TestSubgraph, TestSupergraph } from './supergraph.ts';

export interface FederationRules {
  /** The field as a subgraph has it: on the type, or on the @interfaceObject that stands for it. */
  declarationOf(
    subgraph: TestSubgraph,
    type: string,
    field: string,
  ): GraphQLField<unknown, unknown> | undefined;
  isInterfaceObject(subgraph: string, type: string): boolean;
  isEntity(type: string): boolean;
  /** True for the outermost fields of any key of the type. */
  isKeyField(type: string, field: string): boolean;
  /** Those that the subgraph resolves. */
  keysOf(subgraph: string, type: string): readonly SelectionSetNode[];
  requirementsOf(type: string, field: string): Requirements;
  /** What the subgraph itself is given for the field. */
  requirementsIn(subgraph: string, type: string, field: string): Requirements;
  /** Whether any @requires names a field of this name. */
  isRequired(field: string): boolean;
  isInContext(type: string, context: string): boolean;
  isOfType(type: string, condition: string): boolean;
  /** The type itself, or the object types of an interface. */
  objectTypes(type: string): readonly string[];
}

export interface Requirements {
  readonly requires: SelectionSetNode | null;
  readonly contexts: readonly { argument: string; context: string; selection: SelectionSetNode }[];
}

type TypeNode = ObjectTypeDefinitionNode | ObjectTypeExtensionNode | InterfaceTypeDefinitionNode;

const NOTHING: Requirements = { requires: null, contexts: [] };

export function federationRules({ subgraphs, full }: TestSupergraph): FederationRules {
  const keys = new Map<string, SelectionSetNode[]>();
  const keyFields = new Set<string>();
  const entities = new Set<string>();
  const interfaceObjects = new Set<string>();
  const requirements = new Map<string, Requirements>();
  const contexts = new Set<string>();
  const requiredNames = new Set<string>();

  const objectTypes = (type: string): string[] => {
    const named = full.getType(type);
    return isInterfaceType(named) ? full.getPossibleTypes(named).map(({ name }) => name) : [type];
  };

  for (const { name: subgraph, document } of subgraphs) {
    for (const node of document.definitions) {
      if (!isTypeNode(node)) continue;
      const type = node.name.value;
      for (const directive of node.directives ?? []) readTypeDirective(subgraph, type, directive);
      for (const field of node.fields ?? []) readField(subgraph, type, field);
    }
  }

  function readTypeDirective(subgraph: string, type: string, directive: ConstDirectiveNode) {
    const name = directive.name.value;
    if (name === 'interfaceObject') interfaceObjects.add(`${subgraph} ${type}`);
    if (name === 'context')
      for (const one of objectTypes(type)) contexts.add(`${one} ${text(directive, 'name')}`);
    if (name !== 'key') return;
    const key = fieldSet(text(directive, 'fields'));
    const isResolvable = !directive.arguments?.some(
      ({ name, value }) => name.value === 'resolvable' && value.kind === Kind.BOOLEAN && !value.value,
    );
    if (isResolvable) keys.set(`${subgraph} ${type}`, [...(keys.get(`${subgraph} ${type}`) ?? []), key]);
    for (const one of objectTypes(type)) {
      entities.add(one);
      for (const selection of key.selections) {
        if (selection.kind === Kind.FIELD) keyFields.add(`${one}.${selection.name.value}`);
      }
    }
  }

  function readField(subgraph: string, type: string, field: FieldDefinitionNode) {
    const requires = field.directives?.find(({ name }) => name.value === 'requires');
    const fromContext = (field.arguments ?? []).flatMap((argument) => {
      const directive = argument.directives?.find(({ name }) => name.value === 'fromContext');
      const [, context = '', selection = ''] = directive
        ? (/^\$(\w+)\s*(\{.*\})$/s.exec(text(directive, 'field')) ?? [])
        : [];
      return context
        ? [{ argument: argument.name.value, context, selection: fieldSet(selection.slice(1, -1)) }]
        : [];
    });
    if (!requires && fromContext.length === 0) return;
    const found = {
      requires: requires ? fieldSet(text(requires, 'fields')) : null,
      contexts: fromContext,
    };
    for (const [name] of requires ? text(requires, 'fields').matchAll(/\w+/g) : []) requiredNames.add(name);
    requirements.set(`${subgraph} ${type}.${field.name.value}`, found);
    for (const one of objectTypes(type)) requirements.set(`${one}.${field.name.value}`, found);
  }

  return {
    declarationOf({ name: subgraph, schema }, type, field) {
      const root = { Query: schema.getQueryType(), Mutation: schema.getMutationType() }[type];
      const own = root ?? schema.getType(type);
      if (isObjectType(own) || isInterfaceType(own)) return own.getFields()[field];
      const named = full.getType(type);
      if (!isObjectType(named)) return undefined;
      for (const { name } of named.getInterfaces()) {
        const stand = interfaceObjects.has(`${subgraph} ${name}`) ? schema.getType(name) : undefined;
        if (isObjectType(stand)) return stand.getFields()[field];
      }
      return undefined;
    },
    isInterfaceObject: (subgraph, type) => interfaceObjects.has(`${subgraph} ${type}`),
    isEntity: (type) => entities.has(type),
    isKeyField: (type, field) => keyFields.has(`${type}.${field}`),
    keysOf: (subgraph, type) => keys.get(`${subgraph} ${type}`) ?? [],
    requirementsOf: (type, field) => requirements.get(`${type}.${field}`) ?? NOTHING,
    requirementsIn: (subgraph, type, field) => requirements.get(`${subgraph} ${type}.${field}`) ?? NOTHING,
    isRequired: (field) => requiredNames.has(field),
    isInContext: (type, context) => contexts.has(`${type} ${context}`),
    isOfType: (type, condition) => {
      if (type === condition) return true;
      const named = full.getType(type);
      const other = full.getType(condition);
      return isObjectType(named) && other && 'getFields' in other && isInterfaceType(other)
        ? full.isSubType(other, named)
        : false;
    },
    objectTypes,
  };
}

function isTypeNode(node: { kind: string }): node is TypeNode {
  return (
    node.kind === Kind.OBJECT_TYPE_DEFINITION ||
    node.kind === Kind.OBJECT_TYPE_EXTENSION ||
    node.kind === Kind.INTERFACE_TYPE_DEFINITION
  );
}

function text(directive: ConstDirectiveNode, argument: string): string {
  const value = directive.arguments?.find(({ name }) => name.value === argument)?.value;
  return value?.kind === Kind.STRING ? value.value : '';
}

function fieldSet(fields: string): SelectionSetNode {
  const [operation] = parse(`{ ${fields} }`).definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error(`no field set: ${fields}`);
  return operation.selectionSet;
}
