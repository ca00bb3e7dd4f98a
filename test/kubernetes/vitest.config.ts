import { defineConfig } from 'vitest/config';

// Needs a cluster and the built image: README.md says how to name them.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    name: 'kubernetes',
    include: ['**/*.test.ts'],
    globalSetup: ['global-setup.ts'],
    setupFiles: ['setup.ts'],
    pool: 'forks',
    // One cluster of usually one node: times are told here, so one test file at a time.
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 300_000,
    retry: 0,
  },
});
