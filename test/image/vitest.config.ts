import { defineConfig } from 'vitest/config';

/** Trees of many thousand files: those two hold one processor each. */
const large = ['chown.test.ts', 'files.test.ts'];

const shared = {
  root: import.meta.dirname,
  testTimeout: 240_000,
  hookTimeout: 300_000,
  retry: 0,
};

// Needs Docker and the built image, so it is no part of `npm test`: `npm run image && npm run test:image`.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    globalSetup: ['global-setup.ts'],
    retry: 0,
    projects: [
      {
        test: {
          ...shared,
          name: 'image',
          include: ['*.test.ts'],
          exclude: large,
          // Times are told here: containers of one test file at a time.
          maxWorkers: 1,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...shared,
          name: 'image large',
          include: large,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
