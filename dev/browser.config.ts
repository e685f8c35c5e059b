/** `npm run test:browser`: the tests that need a Chromium on the machine, apart from `npm test`, which needs nothing. */
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import root from '../vitest.config.ts';

export default defineConfig({
  root: resolve(import.meta.dirname, '..'),
  ...(root.resolve ? { resolve: root.resolve } : {}),
  test: {
    include: ['**/*.browser.test.ts'],
    exclude: ['**/node_modules/**', '**/generated/**'],
    // A cold Chromium and a page that builds its editor on first sight.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
