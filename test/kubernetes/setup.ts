import { inject } from 'vitest';

// A worker has an environment of its own.
Object.assign(process.env, inject('cluster'));
