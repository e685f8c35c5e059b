/**
 * Builds page/graphiql.mjs and everything it needs (React, GraphiQL, the editor and its workers) into DIRECTORY.
 *   node build-graphiql.mjs DIRECTORY
 * A process of its own: the bundler's threads and memory are gone when it ends.
 */
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('page/', import.meta.url));

await build({
  configFile: false,
  root,
  base: '/landing/graphiql/',
  publicDir: false,
  logLevel: 'error',
  // React and the editor read it; it is theirs, not ours.
  define: { 'process.env.NODE_ENV': '"production"' },
  build: {
    outDir: process.argv[2],
    emptyOutDir: true,
    assetsDir: '.',
    cssCodeSplit: false,
    chunkSizeWarningLimit: 10_000,
    rolldownOptions: {
      input: `${root}graphiql.mjs`,
      preserveEntrySignatures: 'strict',
      output: {
        entryFileNames: 'graphiql.js',
        chunkFileNames: '[name]-[hash].js',
        assetFileNames: ({ names }) =>
          names.some((name) => name.endsWith('.css')) ? 'graphiql.css' : '[name]-[hash][extname]',
      },
    },
  },
});
