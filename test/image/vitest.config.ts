import { defineConfig } from 'vitest/config';

// Needs Docker and the built image, so it is no part of `npm test`: `npm run image && npm run test:image`.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    name: 'image',
    include: ['*.test.ts'],
    globalSetup: ['global-setup.ts'],
    // Times are told here: containers of one test file at a time.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
    retry: 0,
  },
});
