import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Vite would take graphql's ES module while @apollo/* require its CommonJS one: two copies in one process. */
const graphql = {
  find: /^graphql$/,
  replacement: fileURLToPath(new URL('./node_modules/graphql/index.js', import.meta.url)),
};

export default defineConfig({
  resolve: { alias: [graphql] },
  test: {
    include: ['**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/generated/**', '**/*.browser.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
