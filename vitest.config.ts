import { defineConfig } from 'vitest/config';

// Tests tell how long things take, so no more of them run at once than two cores bear.
const maxWorkers = 2;

export default defineConfig({
  test: {
    // A test that passes at the second try has found something.
    retry: 0,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          maxWorkers,
          // A guard against hanging, not a measure: walks of real trees are among them.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
          retry: 0,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/support/**/*.test.ts'],
          globalSetup: ['test/support/build-once.ts'],
          // Processes rather than threads: what a test starts ends with its process, and signals are
          // a process's.
          pool: 'forks',
          maxWorkers,
          testTimeout: 60_000,
          // Set-up may install a server, once.
          hookTimeout: 300_000,
          sequence: { groupOrder: 1 },
          retry: 0,
        },
      },
    ],
  },
});
