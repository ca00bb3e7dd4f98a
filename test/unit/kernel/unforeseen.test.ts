import { describe, expect, test } from 'vitest';
import type { Log } from '../../../src/kernel/log.ts';
import { Failure, failed, SignalReceived, UsageError } from '../../../src/kernel/outcome.ts';
import { outcomeOfError, unforeseen } from '../../../src/kernel/unforeseen.ts';

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
