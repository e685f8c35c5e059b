// Whether a document is valid for a supergraph: the specification's rules, and what the planner needs beside them.

import {
  type ASTVisitor,
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  specifiedRules,
  type ValidationContext,
  type ValidationRule,
  validate,
} from 'graphql';

/** More tell a person nothing and cost time to find. */
export const ERRORS_MAX = 20;

const CONDITIONAL_ROOT =
  'The root field of a subscription cannot depend on a variable: @skip and @include take constants there.';

export type Validation = (schema: GraphQLSchema, document: DocumentNode) => readonly GraphQLError[];

/** `introspection` false refuses documents that read the schema. */
export function createValidation(introspection: boolean): Validation {
  const rules = [...specifiedRules, ...ownRules(introspection)];
  return (schema, document) => {
    try {
      return validate(schema, document, rules, { maxErrors: ERRORS_MAX });
    } catch (error) {
      // (measured) graphql-js counts the root fields of a subscription without its variables, and throws over one.
      if (!(error instanceof GraphQLError)) throw error;
      return [new GraphQLError(CONDITIONAL_ROOT, error.nodes ? { nodes: error.nodes } : {})];
    }
  };
}

/** Beside those of the specification. */
export function ownRules(introspection: boolean): ValidationRule[] {
  return introspection ? [noUnplannableField] : [noUnplannableField, NoSchemaIntrospectionCustomRule];
}

/** graphql-js has this field, the planner's copy of the introspection types has not: tools that try it ask again without. */
function noUnplannableField(context: ValidationContext): ASTVisitor {
  return {
    Field(node) {
      const parent = context.getParentType()?.name;
      if (parent === '__Type' && node.name.value === 'isOneOf') {
        context.reportError(
          new GraphQLError('Cannot query field "isOneOf" on type "__Type".', { nodes: node }),
        );
      }
    },
  };
}
