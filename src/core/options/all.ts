import type { AnyCommand } from '../command.ts';
import type { Options } from './option.ts';
import { processOptions, timeoutOption } from './shared-options.ts';

/** All options of a command: its own, `--timeout`, and what every command takes. */
export function allOptions(command: AnyCommand): Options {
  return { ...command.options, timeout: timeoutOption(command.timeout), ...processOptions };
}
