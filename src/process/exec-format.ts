import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
} from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { exitStatus } from '../core/exit-status.ts';
import { Failure, failed } from '../core/outcome.ts';

const shell = '/bin/sh';

/** Scripts may name scripts as their interpreters: the kernel follows five (fs/exec.c, exec_binprm). */
const mostInterpreters = 5;

/**
 * What to start for a file, so that nothing but a text ever reaches a shell.
 *
 * execvp(3), by which libuv starts a child, hands to /bin/sh whatever the kernel refuses with ENOEXEC: a damaged file of
 * zeros would end with 0, as if it had done its work. Starting it tells nobody of that, so the file is judged before.
 * @throws Failure with status 126 where the kernel would refuse it and no shell can run it
 */
export function startable(file: string, name: string, rest: readonly string[]): readonly string[] {
  const refused = refusedByKernel(file, mostInterpreters);
  return refused === undefined ? [name, ...rest] : inShell(file, refused, rest);
}

/**
 * The command that runs a file which execve(2) has refused with ENOEXEC, as POSIX wants it of execvp: a text is a script
 * of the shell.
 * @throws Failure with status 126 where no shell can run it
 */
export function shellCommand(file: string, rest: readonly string[]): readonly string[] {
  return inShell(file, refusedByKernel(file, mostInterpreters) ?? file, rest);
}

/** @param refused what the kernel cannot run: the file itself, or the interpreter that it names */
function inShell(file: string, refused: string, rest: readonly string[]): readonly string[] {
  const start = head(refused, textLength);
  if (refused !== file || start === undefined || isBinary(start)) throw notForThisMachine(file, refused);
  if (start.length === 0) {
    // A shell would end with 0 at once, and a migration would be recorded as applied although nothing ran.
    throw new Failure(
      failed(exitStatus.notExecutable, `cannot run ${file}: the file is empty`, {
        hint: 'was it copied or downloaded completely?',
      }),
    );
  }
  try {
    accessSync(shell, constants.X_OK);
  } catch {
    throw new Failure(
      failed(
        exitStatus.notExecutable,
        `cannot run ${file}: it is a script without a #! line, and there is no ${shell}`,
      ),
    );
  }
  return [shell, file, ...rest];
}

function notForThisMachine(file: string, refused: string): Failure {
  const what = refused === file ? '' : `its interpreter ${refused} is `;
  return new Failure(
    failed(
      exitStatus.notExecutable,
      `cannot run ${file}: ${what}not an executable for this machine (ENOEXEC)`,
      { hint: `was ${refused} built for another architecture, or is it damaged?` },
    ),
  );
}

/** @returns the file that execve would refuse with ENOEXEC; undefined where it takes it, or that is the kernel's to say */
function refusedByKernel(file: string, depth: number): string | undefined {
  // What cannot be read may be run all the same.
  const start = head(file, textLength);
  if (start === undefined || depth === 0) return undefined;
  if (start.length === 0) return file;
  const interpreter = interpreterIn(start);
  if (interpreter !== undefined) return refusedByKernel(interpreter, depth - 1);
  if (isElf(start) && isElfForThisMachine(file, start)) return undefined;
  return otherFormatsAreKnown() ? undefined : file;
}

/** The interpreter that a script's first line names (fs/binfmt_script.c). */
export function interpreterIn(start: Buffer): string | undefined {
  return /^#![ \t]*([^\s\0]+)/.exec(start.toString('latin1'))?.[1];
}

/** Bytes by which a text is told from a binary. */
const textLength = 512;

function isBinary(start: Buffer): boolean {
  return start.includes(0) || isElf(start);
}

function isElf(start: Buffer): boolean {
  return start.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
}

/** Values of e_machine in elf(5) that a kernel of this architecture may run: the second of each as a 32-bit program. */
const machines: Readonly<Record<string, readonly number[]>> = {
  x64: [62, 3],
  ia32: [3],
  arm64: [183, 40],
  arm: [40],
  ppc64: [21, 20],
  s390x: [22],
  riscv64: [243],
  loong64: [258],
};

/** Of an architecture that is not known here, the kernel may say. */
function isElfForThisMachine(file: string, start: Buffer): boolean {
  const known = machines[process.arch];
  if (known === undefined) return true;
  const wide = start[4] === 2;
  const little = start[5] === 1;
  if (start.length < (wide ? 64 : 52) || little !== (endianness() === 'LE')) return false;
  const short = (at: number): number => (little ? start.readUInt16LE(at) : start.readUInt16BE(at));
  const long = (at: number): number => (little ? start.readUInt32LE(at) : start.readUInt32BE(at));
  const type = short(16);
  if (!known.includes(short(18)) || (type !== 2 && type !== 3)) return false;
  // The table of segments must be there (fs/binfmt_elf.c, load_elf_phdrs).
  const table = wide ? Number(little ? start.readBigUInt64LE(32) : start.readBigUInt64BE(32)) : long(28);
  const entry = short(wide ? 54 : 42);
  const entries = short(wide ? 56 : 44);
  return entry === (wide ? 56 : 32) && entries > 0 && table + entry * entries <= sizeOf(file);
}

/** Where Linux lists the formats that it was taught, as qemu's. */
const otherFormats = '/proc/sys/fs/binfmt_misc';

/**
 * Whether the kernel was taught other formats: then it may run what is none of its own. A container seldom sees the
 * list; a foreign program is then refused, which is loud, rather than given to a shell, which may end with 0.
 */
function otherFormatsAreKnown(): boolean {
  try {
    return readdirSync(otherFormats).some(
      (name) =>
        name !== 'register' &&
        name !== 'status' &&
        readFileSync(join(otherFormats, name), 'latin1').startsWith('enabled'),
    );
  } catch {
    return false;
  }
}

function sizeOf(file: string): number {
  return withFile(file, (descriptor) => fstatSync(descriptor).size) ?? Number.POSITIVE_INFINITY;
}

/** The file's first bytes; undefined where it cannot be read. */
export function head(file: string, length: number): Buffer | undefined {
  return withFile(file, (descriptor) => {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, 0));
  });
}

function withFile<T>(file: string, read: (descriptor: number) => T): T | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return undefined;
  }
  try {
    return read(descriptor);
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}
