import { describe, expect, test } from 'vitest';

import { isServerRefusal } from '../../../src/migrations/failure.ts';

const error = (fields: Record<string, string>): Error => Object.assign(new Error('no'), fields);

describe('whether the effect of a statement is known', () => {
  test('what the server refused, and went on', () => {
    expect(isServerRefusal(error({ code: '42P01', severity: 'ERROR' }))).toBe(true);
  });
  test.each(['FATAL', 'PANIC'])('a server that ended the session: %s', (severity) => {
    expect(isServerRefusal(error({ code: '57P01', severity }))).toBe(false);
  });
  test.each(['08006', '08P01'])('a pooler that lost its own connection: %s', (code) => {
    expect(isServerRefusal(error({ code, severity: 'ERROR' }))).toBe(false);
  });
  // Some of the system's codes look like an SQLSTATE.
  test.each(['EPIPE', 'EPERM', 'EBADF', 'EBUSY', 'ECONNRESET', 'ETIMEDOUT'])(
    'a broken connection: %s',
    (code) => {
      expect(isServerRefusal(error({ code }))).toBe(false);
    },
  );
});
