import type { AnyCommand } from '../command.ts';
import { parseDuration } from '../duration.ts';
import { logFormats, logLevels } from '../log.ts';
import { quotedValue } from '../misplaced-secret.ts';
import { flag, integer, oneOf, type Options, parseText, value, valueOr, type Values } from './option.ts';

/** What every command takes beside its own options; main acts on these. */
export const processOptions = {
  'log-format': oneOf({ description: 'how log lines look', choices: logFormats, fallback: 'text' }),
  'log-level': oneOf({ description: 'the least level that is logged', choices: logLevels, fallback: 'info' }),
  'termination-log': valueOr({
    description: 'the file for the termination message; written only where it exists',
    writes: true,
    placeholder: 'PATH',
    parse: parseText,
    fallback: '/dev/termination-log',
  }),
};

/** `--timeout`, whose default is the command's own. */
export function timeoutOption(fallback: string | undefined) {
  const spec = {
    description:
      fallback === undefined
        ? 'the time for everything together; unset, each part has a bound of its own; 0 disables it'
        : 'the time for everything together; 0 disables it',
    placeholder: 'DURATION',
    parse: parseDuration,
  };
  return fallback === undefined ? value(spec) : valueOr({ ...spec, fallback });
}

/**
 * How long a command may take, in milliseconds; 0 forever.
 * @param said what `--timeout` says, or its default
 * @param limited whether somebody said it
 */
export function limitOf(
  command: AnyCommand | undefined,
  options: Values<Options> | undefined,
  positionals: unknown,
  said: number | undefined,
  limited: boolean,
): number {
  const long = command?.longWork;
  if (!limited && long !== undefined && options !== undefined && long.asked(options, positionals))
    return long.limit;
  return said ?? 0;
}

export const intervalOption = value({
  description: 'a fixed pause between attempts; unset, 2 % of the time waited, from 100ms to 1s',
  placeholder: 'DURATION',
  parse: (given: string) => {
    const milliseconds = parseDuration(given);
    if (milliseconds < 1) throw new Error(`${quotedValue(given)} is too short; write at least 1ms`);
    return milliseconds;
  },
});

/** What every command that waits takes: the schedule and the policy of the loop. */
export const waitOptions = {
  interval: intervalOption,
  any: flag({ description: 'one of the targets is enough' }),
  invert: flag({ description: 'wait until it is gone instead' }),
  successes: valueOr({
    description: 'how many attempts in a row must succeed',
    placeholder: 'COUNT',
    parse: integer({ min: 1, max: 1_000_000 }),
    fallback: '1',
  }),
  'stable-for': valueOr({
    description: 'how long it must have succeeded without a failure',
    placeholder: 'DURATION',
    parse: parseDuration,
    fallback: '0s',
    fallbackText: '',
  }),
};
