import { describe, expect, test } from 'vitest';

import { createLog, type Log } from '../../../src/core/log.ts';
import { Failure, failed, SignalReceived, UsageError } from '../../../src/core/outcome.ts';
import { createRedactor } from '../../../src/core/redaction/redactor.ts';
import { outcomeOfError, unforeseen } from '../../../src/core/unexpected-error.ts';
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

/** What `using` throws where the work failed and then one resource, or several, could not be closed either. */
function failing(work: () => never, resources: number): unknown {
  const close = () => {
    throw new Error('EBADF: bad file descriptor, close');
  };
  try {
    using stack = new DisposableStack();
    for (let i = 0; i < resources; i++) stack.defer(close);
    return work();
  } catch (error) {
    return error;
  }
}

describe('work that failed, and then a resource that could not be closed', () => {
  const lines: string[] = [];
  const log = { debug: (line: string) => void lines.push(line) } as unknown as Log;

  test.each([1, 2, 3])('says why the work failed, with %i such resources', (resources) => {
    const words = (error: Error) =>
      outcomeOfError(
        failing(() => {
          throw error;
        }, resources),
        log,
      );
    expect(words(new UsageError('a is not a valid b'))).toMatchObject({
      status: 2,
      what: 'a is not a valid b',
    });
    expect(words(new Failure(failed(69, 'refused')))).toMatchObject({ status: 69, what: 'refused' });
    expect(words(new SignalReceived('SIGTERM'))).toMatchObject({ status: 143 });
    expect(words(new Error('no memory'))).toMatchObject({ status: 1, what: 'no memory' });
  });

  test('what could not be closed is told at debug level', () => {
    lines.length = 0;
    outcomeOfError(
      failing(() => {
        throw new Failure(failed(69, 'refused'));
      }, 1),
      log,
    );
    expect(lines.join('\n')).toContain('EBADF: bad file descriptor, close');
  });

  test('also where nobody caught it', () => {
    const error = failing(() => {
      throw new Error('no memory');
    }, 2);
    expect(error).toBeInstanceOf(SuppressedError);
    expect(unforeseen(error)).toMatchObject({ status: 1, what: 'no memory' });
  });

  test('where the work succeeded, says what could not be closed first', () => {
    let error: unknown;
    try {
      using stack = new DisposableStack();
      for (const name of ['second', 'first'])
        stack.defer(() => {
          throw new Error(name);
        });
    } catch (caught) {
      error = caught;
    }
    expect(outcomeOfError(error, log)).toMatchObject({ status: 1, what: 'first' });
  });
});
