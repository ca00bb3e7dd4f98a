import { defineConfig } from 'vitest/config';

// Needs Docker, Compose and the built image: `npm run image && npm run test:compose`.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    name: 'compose',
    include: ['*.test.ts'],
    // Each file has a project of its own, and waits for Docker most of the time.
    maxWorkers: 4,
    testTimeout: 60_000,
    // Pulls images where they are not at hand.
    hookTimeout: 600_000,
    retry: 0,
  },
});
