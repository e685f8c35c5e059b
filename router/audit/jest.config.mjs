/** See run.mjs. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/*.audit.mjs'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/strip-types.mjs' },
  // One graphql for the suite's Apollo Server and for the router, or `instanceof GraphQLError` fails between them.
  moduleNameMapper: { '^graphql$': '<rootDir>/../../node_modules/graphql/index.js' },
};
