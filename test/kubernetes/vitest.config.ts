import { defineConfig } from 'vitest/config';

// Needs a cluster: KUBECONFIG of one that is up, or KUBE_CLUSTER (see vault-auth.test.ts), and the built program.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    name: 'kubernetes',
    include: ['*.test.ts'],
    // One cluster, one test file at a time.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 300_000,
    retry: 0,
  },
});
