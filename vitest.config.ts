import { defineConfig } from 'vitest/config';

/**
 * Test files that hold a processor for long: they kill, exchange or copy in a loop, and tell no times. The others wait
 * most of the time, and some tell times: those two kinds are not run beside each other.
 */
const busy = [
  'test/integration/commands/chown/exchange.test.ts',
  'test/integration/commands/chown/hostile.test.ts',
  'test/integration/commands/copy/kill.test.ts',
  'test/integration/commands/copy/unverified.test.ts',
  'test/integration/commands/fetch-config/unpack/ends.test.ts',
  'test/integration/commands/fetch-config/unpack/toggled.test.ts',
  'test/integration/commands/migrate-with-lock/real-tools.test.ts',
  'test/integration/commands/render/kill.test.ts',
  'test/integration/fs/publish/kill.test.ts',
  'test/integration/fs/publish/planted.test.ts',
];

const integration = {
  globalSetup: ['test/support/build-once.ts'],
  // Processes rather than threads: what a test starts ends with its process, and signals are a process's.
  pool: 'forks' as const,
  // A guard against hanging, not a measure: longer than those of what it runs, which say more.
  testTimeout: 240_000,
  // Set-up may install a server, once.
  hookTimeout: 300_000,
  // Usually a second, which a slow machine takes to start the program.
  expect: { poll: { timeout: 60_000 } },
  retry: 0,
};

export default defineConfig({
  test: {
    // A test that passes at the second try has found something.
    retry: 0,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          maxWorkers: 2,
          // A guard against hanging, not a measure: walks of real trees are among them.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
          retry: 0,
        },
      },
      {
        test: {
          ...integration,
          name: 'integration busy',
          include: busy,
          // As many as two cores bear.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...integration,
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/support/**/*.test.ts'],
          exclude: busy,
          // They wait for more than half of their time.
          maxWorkers: 4,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
