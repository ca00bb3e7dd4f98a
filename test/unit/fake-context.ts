import { startDeadline } from '../../src/core/deadline.ts';
import { createLog, type LogLevel } from '../../src/core/log.ts';
import { createRedactor } from '../../src/core/redaction/redactor.ts';
import { FakeClock } from './fake-clock.ts';

/** What the loop needs of a context, on a clock of the test's own, with the lines that were logged. */
export function fakeContext({
  timeout = 0,
  level = 'info',
  random = 0,
}: { timeout?: number; level?: LogLevel; random?: number } = {}) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const deadline = startDeadline(clock, stop, timeout, '--timeout');
  const lines: string[] = [];
  const log = createLog({
    write: (line) => lines.push(line.trimEnd().replace(/^\S+ /, '')),
    redactor: createRedactor(),
    clock,
    format: 'text',
    level,
  });
  return { clock, stop, lines, signal: deadline.signal, deadline: deadline.at, log, random: () => random };
}
