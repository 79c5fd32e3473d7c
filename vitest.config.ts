import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:full` adds what takes long.
    exclude: process.env['STRONGROOM_TEST_FULL'] === undefined ? ['test/**/*.full.test.ts', 'node_modules/**'] : ['node_modules/**'],
    // Two cores, real servers and real programs: files run one after another in forks.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 300_000,
  },
});
