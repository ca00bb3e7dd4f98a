import { expect, test } from 'vitest';

import { printable } from '../../../../src/clients/x509/certificate.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';

test.each([60, 90, 280])('a secret that begins at character %i of a name is not shown in part', (at) => {
  const redactor = createRedactor();
  const secret = 'correct-Horse-9-battery-staple-7-and-more';
  redactor.secret(secret);
  const shown = redactor.redact(printable(`${'x'.repeat(at)}${secret}`));
  expect(shown).not.toContain('correct');
});

test('a long name is described, and one with what moves a cursor stays on its line', () => {
  expect(printable('x'.repeat(301))).toBe('(a name of 301 characters)');
  expect(printable('a\u202eb\nc')).toBe('a?b?c');
});
