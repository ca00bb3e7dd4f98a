// Runs the built program on a pseudo-terminal, and shows what somebody would see there.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';

import { programCommand } from './program.ts';
import { needTool, projectDirectory } from './tools.ts';
import { undoAtDeath } from './undo.ts';
import { waitUntil } from './wait-until.ts';

export interface TerminalOptions {
  columns?: number;
  rows?: number;
  /** Beside PATH, HOME and TERM=xterm. */
  env?: Record<string, string>;
  /** What is run instead of `node dist/initbox.js`. */
  program?: readonly string[];
}

export interface TerminalRun extends AsyncDisposable {
  /** All that was written to the terminal. */
  readonly output: string;
  /** Types a text: `\u0003` is ^C, `\u0013` ^S, `\u0011` ^Q. */
  type(text: string): void;
  resize(columns: number, rows: number): void;
  kill(signal: NodeJS.Signals): void;
  /** Resolves once the output, or what is seen on the screen, matches. */
  waitFor(holds: (run: { output: string; seen: string }) => boolean): Promise<void>;
  /** What stands on the screen and above it, without blanks at the ends of lines. */
  seen(): string;
  readonly exit: Promise<{ status: number | undefined; output: string; seen: string }>;
}

/** Starts the program with its three streams on a terminal. */
export function startOnTerminal(
  args: readonly string[],
  { columns = 100, rows = 24, env = {}, program = programCommand() }: TerminalOptions = {},
): TerminalRun {
  const script = join(projectDirectory, 'test/support/terminal.py');
  const child = spawn(
    needTool('python3', 'python3'),
    [script, String(columns), String(rows), ...program, ...args],
    {
      detached: true,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '/',
        TERM: 'xterm',
        ...env,
      },
      stdio: 'pipe',
    },
  );
  const undo = child.pid === undefined ? undefined : undoAtDeath(`kill_tree ${child.pid}`);
  const screen = new ScreenEmulator(columns);
  let output = '';
  let said = '';
  let broken: Error | undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    try {
      screen.write(text);
    } catch (error) {
      broken ??= error as Error;
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stdin.on('error', () => undefined);
  const tell = (what: object): void => void child.stdin.write(`${JSON.stringify(what)}\n`);
  const seen = (): string => {
    if (broken !== undefined) throw broken;
    return screen.text();
  };
  const exit = new Promise<{ status: number | undefined; output: string; seen: string }>(
    (resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => {
        undo?.forget();
        const status = /^\d+$/m.exec(said)?.[0];
        if (broken !== undefined) return reject(broken);
        if (status === undefined) return reject(new Error(`no status: ${said}\n${output}`));
        resolve({
          status: Number(status) % 128 === 0 ? Number(status) / 256 : undefined,
          output,
          seen: seen(),
        });
      });
    },
  );
  exit.catch(() => undefined);
  return {
    get output() {
      return output;
    },
    type: (text) => tell({ type: text }),
    resize(width, height) {
      screen.columns = width;
      tell({ resize: [width, height] });
    },
    kill: (signal) => tell({ kill: constants.signals[signal] }),
    async waitFor(holds) {
      await waitUntil(() => holds({ output, seen: seen() }) || undefined, {
        timeout: 60_000,
        interval: 10,
        what: () => `the terminal; so far:\n${JSON.stringify(output)}\n${seen()}`,
      });
    },
    seen,
    exit,
    async [Symbol.asyncDispose]() {
      tell({ kill: constants.signals.SIGKILL });
      await exit.catch(() => undefined);
    },
  };
}

/**
 * A terminal of endless height: characters, CR, LF, and the sequences that move up, erase and colour. Anything else is an
 * error, and so is moving above the first line. Lines wrap at the width; those that are there stay as they are at a change.
 */
export class ScreenEmulator {
  columns: number;
  readonly #lines: string[][] = [[]];
  #row = 0;
  #column = 0;
  #rest = '';

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): void {
    // oxlint-disable-next-line no-control-regex -- they are what this is about
    const parts = /\u001b\[(\d*)([A-Za-z])|\u001b\[?\d*$|[\s\S]/gu;
    const all = this.#rest + text;
    this.#rest = '';
    for (const [part, count, letter] of all.matchAll(parts)) {
      if (letter !== undefined) this.#control(letter, count ?? '');
      else if (part.startsWith('\u001b')) this.#rest = part;
      else if (part === '\r') this.#column = 0;
      else if (part === '\n') this.#down();
      else this.#put(part);
    }
  }

  text(): string {
    return this.#lines.map((line) => line.join('').trimEnd()).join('\n');
  }

  /** Where the cursor stands: [row, column]. */
  get cursor(): readonly [number, number] {
    return [this.#row, this.#column];
  }

  #control(letter: string, count: string): void {
    const line = this.#lines[this.#row] as string[];
    if (letter === 'A') {
      this.#row -= Number(count || 1);
      if (this.#row < 0) throw new Error('the cursor was moved above the first line');
    } else if (letter === 'K' && count === '') line.splice(this.#column);
    else if (letter === 'J' && count === '') {
      line.splice(this.#column);
      this.#lines.splice(this.#row + 1);
    } else if (letter !== 'm') throw new Error(`an unexpected sequence: ESC [ ${count} ${letter}`);
  }

  #down(): void {
    this.#row++;
    this.#lines[this.#row] ??= [];
  }

  #put(character: string): void {
    if (/\p{Cc}/u.test(character)) throw new Error(`an unexpected control: ${JSON.stringify(character)}`);
    const width = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uff00-\uff60]|\p{Emoji_Presentation}/u.test(
      character,
    )
      ? 2
      : 1;
    if (this.#column + width > this.columns) {
      this.#column = 0;
      this.#down();
    }
    const line = this.#lines[this.#row] as string[];
    while (line.length < this.#column) line.push(' ');
    line[this.#column] = character;
    if (width === 2) line[this.#column + 1] = '';
    this.#column += width;
  }
}
