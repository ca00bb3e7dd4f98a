import { constants, openSync, readFileSync } from 'node:fs';
import process from 'node:process';

import type { Clock } from '../core/clock.ts';
import type { Environment } from '../core/context.ts';
import type { OutputDescriptor } from './output.ts';
import { createBlockTerminal, type BlockTerminal, type ScreenSize } from './terminal-block.ts';

/**
 * The terminal on standard error; undefined where it is none on which lines can be redrawn. Loaded only where standard error
 * may be one.
 */
export function openTerminal(
  output: OutputDescriptor,
  settings: {
    readonly clock: Clock;
    readonly redact: (text: string) => string;
    readonly environment: Environment;
  },
): BlockTerminal | undefined {
  const { TERM: kind = '', NO_COLOR: colourless = '' } = settings.environment;
  if (kind === '' || kind === 'dumb' || !process.getBuiltinModule('node:tty').isatty(2)) return undefined;
  return createBlockTerminal(
    {
      write: output.write,
      taken: output.flush,
      size: sizeOfTerminal,
      isOurs: isInForeground,
      onResize: (listener) => listenTo('SIGWINCH', listener),
      onContinue: (listener) => listenTo('SIGCONT', listener),
    },
    { ...settings, coloured: colourless === '' },
  );
}

function listenTo(signal: 'SIGWINCH' | 'SIGCONT', listener: () => void): () => void {
  process.on(signal, listener);
  return () => void process.off(signal, listener);
}

/** On a descriptor of its own, because Node changes what it is given. */
function sizeOfTerminal(): ScreenSize | undefined {
  try {
    const { WriteStream } = process.getBuiltinModule('node:tty');
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    const stream = new WriteStream(openSync('/proc/self/fd/2', O_WRONLY | O_NONBLOCK | O_NOCTTY));
    stream.on('error', () => {});
    const { columns, rows } = stream;
    stream.destroy();
    return columns > 0 && rows > 0 ? { columns, rows } : undefined;
  } catch {
    return undefined; // another user's terminal: a stopped one would hold up everything
  }
}

/**
 * Whether the terminal is lent to this process's group, by the fields pgrp and tpgid of proc_pid_stat(5). Without a
 * controlling terminal (-1), or with one of another PID namespace (0), nobody else is known to have it.
 */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [group, foreground] = [Number(fields[2]), Number(fields[5])];
    return foreground <= 0 || foreground === group;
  } catch {
    return true;
  }
}
