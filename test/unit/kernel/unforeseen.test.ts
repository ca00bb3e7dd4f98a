import { expect, test } from 'vitest';
import { createLog } from '../../../src/kernel/log.ts';
import { createRedactor } from '../../../src/kernel/secrets.ts';
import { outcomeOfError } from '../../../src/kernel/unforeseen.ts';
import { FakeClock } from '../fake-clock.ts';

function told(error: unknown): string {
  let out = '';
  const log = createLog({
    write: (line) => (out += line),
    redactor: createRedactor(),
    clock: new FakeClock(),
    format: 'text',
    level: 'debug',
  });
  return JSON.stringify(outcomeOfError(error, log)) + out;
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const brokenPattern = '(Xk9vQ2mPzL7rT4';

test.each([
  ['JSON', () => JSON.parse('{"a": Xk9vQ2mPzL7rT4}') as unknown, 'SyntaxError'],
  ['a URL', () => new URL('Xk9vQ2mPzL7rT4'), 'TypeError (ERR_INVALID_URL)'],
  ['a percent escape', () => decodeURIComponent('Xk9vQ2mPzL7rT4%'), 'URIError'],
  ['a pattern', () => new RegExp(brokenPattern), 'SyntaxError'],
  ['an argument of Node', () => Buffer.alloc('Xk9vQ2mPzL7rT4' as unknown as number), 'ERR_INVALID_ARG_TYPE'],
  ['a date', () => new Intl.DateTimeFormat('Xk9vQ2mPzL7rT4!'), 'RangeError'],
])('what the engine throws for %s is told by its name, at every level', (_name, action, name) => {
  const text = told(thrownBy(action));
  expect(text).toContain(name);
  expect(text).toMatch(/ at /);
  expect(text).not.toContain('Xk9v');
});

test('other errors say what they say', () =>
  expect(told(new Error('the disk is full'))).toContain('the disk is full'));
