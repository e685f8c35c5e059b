import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Vite would take graphql's ES module while @apollo/* require its CommonJS one: two copies in one process. */
const graphql = {
  find: /^graphql$/,
  replacement: fileURLToPath(new URL('./node_modules/graphql/index.js', import.meta.url)),
};

const never = ['**/node_modules/**', '**/generated/**', '**/*.browser.test.ts'];
const withServers = '**/*.{int,e2e}.test.ts';

/** The long ones first, so that none of them runs alone at the end. By default a file's size decides, which says little here. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => Number(moduleId.endsWith('.e2e.test.ts'));
    return (await super.sort(files)).sort((one, other) => isLong(other) - isLong(one));
  }
}

export default defineConfig({
  resolve: { alias: [graphql] },
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // By default one core is left alone; on two that is half of the machine, and most tests wait for servers.
    maxWorkers: '100%',
    sequence: { sequencer: LongFirst },
    projects: [
      // No I/O, hence no servers: `vitest run --project unit` answers at once.
      { extends: true, test: { name: 'unit', include: ['**/*.test.ts'], exclude: [...never, withServers] } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: [withServers],
          exclude: never,
          globalSetup: ['tests/kit/global-setup.ts'],
        },
      },
    ],
  },
});
