import { defineConfig } from 'vitest/config';

/** Those that compare times, and those that use the one role of the one Vault: one test file at a time. */
const alone = [
  'pods.test.ts',
  'examples/all-in-one.test.ts',
  'examples/config-from-vault.test.ts',
  'examples/env-from-vault.test.ts',
  'examples/template-of-vault-agent.test.ts',
];

const shared = {
  root: import.meta.dirname,
  setupFiles: ['setup.ts'],
  pool: 'forks' as const,
  testTimeout: 300_000,
  hookTimeout: 300_000,
  retry: 0,
};

// Needs a cluster and the built image: README.md says how to name them.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    globalSetup: ['global-setup.ts'],
    retry: 0,
    projects: [
      {
        test: {
          ...shared,
          name: 'kubernetes',
          include: ['**/*.test.ts'],
          exclude: alone,
          // Each has namespaces and databases of its own, and waits for the kubelet most of the time.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...shared,
          name: 'kubernetes alone',
          include: alone,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
