import { accessSync, constants, statSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';

import { exitStatus } from '../core/exit-status.ts';
import { Failure, failed } from '../core/outcome.ts';
import { isElf, judgeElf } from './elf.ts';
import { startLength, startOf, type Start } from './file-start.ts';
import { otherFormatOf } from './other-formats.ts';

/**
 * Why the kernel would not run a file, before it is asked.
 *
 * execvp(3), by which libuv starts a child, hands to /bin/sh whatever the kernel refuses with ENOEXEC. A damaged file
 * would end with 0 there, as if it had done its work, and starting it tells nobody of that. So nothing that the kernel
 * would refuse so is started at all: what is meant for a shell must say so in a #! line.
 */
export interface Flaw {
  /** What execve(2) would say. */
  readonly code: string;
  /** Whether it is the file itself that is missing, not what it names. */
  readonly missing: boolean;
  readonly failure: Failure;
}

/** Scripts may name scripts as their interpreters: the kernel follows five (fs/exec.c, exec_binprm). */
const mostScripts = 5;

/** Where in the chain of interpreters a file stands. */
interface Place {
  /** What is to be run. */
  readonly command: string;
  readonly file: string;
  /** How many scripts lead to it. */
  readonly depth: number;
  /** What it is to the file that names it. */
  readonly role: 'it' | 'interpreter' | 'loader';
  readonly namedBy: string;
}

/** @returns undefined where the kernel takes the file, or that is the kernel's to say */
export function flawOf(command: string): Flaw | undefined {
  return judge({ command, file: command, depth: 0, role: 'it', namedBy: command });
}

function judge(place: Place): Flaw | undefined {
  const unreachable = judgeAccess(place);
  if (unreachable !== undefined) return unreachable;
  // What cannot be read may be run all the same; a shell could not read it either.
  const start = startOf(place.file);
  if (start === undefined) return undefined;
  if (place.role === 'loader')
    return isElf(start)
      ? judgeProgram(place, start)
      : flaw(place, 'ELIBBAD', 'is not a program', missingHint(place));
  const other = otherFormatOf(place.file, start);
  if (other !== undefined)
    return other.opened ? undefined : judgeNamed(place, other.interpreter, 'interpreter');
  if (isElf(start)) return judgeProgram(place, start);
  if (start.bytes.subarray(0, 2).toString('latin1') === '#!') return judgeScript(place, start);
  return judgeRest(place, start);
}

function judgeNamed(place: Place, file: string, role: Place['role']): Flaw | undefined {
  return judge({ ...place, file, depth: place.depth + 1, role, namedBy: place.file });
}

/** What execve(2) asks of the file itself. */
function judgeAccess(place: Place): Flaw | undefined {
  try {
    const stat = statSync(place.file);
    if (stat.isDirectory()) return flaw(place, 'EACCES', 'is a directory', directoryHint(place));
    if (!stat.isFile()) return flaw(place, 'EACCES', 'is not a file');
    if ((stat.mode & 0o111) === 0)
      return flaw(place, 'EACCES', 'is not executable', `set its mode: chmod +x ${place.file}`);
    accessSync(place.file, constants.X_OK);
    return undefined;
  } catch (error) {
    const { code = '', errno } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return flaw(place, 'ENOENT', 'is missing', missingHint(place));
    if (code === 'EACCES')
      return flaw(place, code, 'may not be executed: permission denied (EACCES)', deniedHint);
    return flaw(place, code, `cannot be reached: ${wordsOf(code, errno)}`);
  }
}

function directoryHint({ role }: Place): string | undefined {
  return role === 'interpreter' ? shellLine : undefined;
}

function missingHint({ file, role, namedBy }: Place): string | undefined {
  if (role === 'loader')
    return 'a dynamic program needs the loader of its C library: take a static one, or an image with that C library';
  if (file.endsWith('\r')) return `${namedBy} has the line ends of Windows: save it with those of Unix`;
  if (!file.includes('/'))
    return `the kernel does not search PATH for it: write its whole path, or #!/usr/bin/env ${file}`;
  return 'does this image have it?';
}

/** What the first line of a script asks of the kernel (fs/binfmt_script.c, load_script). */
function judgeScript(place: Place, { bytes }: Start): Flaw | undefined {
  const [, interpreter = '', end = ''] =
    /^#![ \t]*([^ \t\n\0]*)([ \t\n\0]?)/.exec(bytes.toString('latin1')) ?? [];
  if (interpreter === '')
    return flaw(
      place,
      'ENOEXEC',
      'has a #! line that names no interpreter',
      end === '' ? `the kernel reads the first ${startLength} bytes` : shellLine,
    );
  if (end === '')
    return flaw(
      place,
      'ENOEXEC',
      'has a #! line that is too long',
      `the path of its interpreter must end within the first ${startLength} bytes, which the kernel reads`,
    );
  const path = Buffer.from(interpreter, 'latin1').toString();
  // What cannot be opened is told first, by the kernel too.
  if (place.depth >= mostScripts) {
    const unreachable = judgeAccess({ ...place, file: path, role: 'interpreter', namedBy: place.file });
    return unreachable ?? tooDeep(place);
  }
  return judgeNamed(place, path, 'interpreter');
}

function tooDeep({ command }: Place): Flaw {
  return {
    code: 'ELOOP',
    missing: false,
    failure: refusal(
      command,
      'it is the first of too many scripts that name scripts as their interpreters; the kernel follows five (ELOOP)',
    ),
  };
}

function judgeProgram(place: Place, start: Start): Flaw | undefined {
  const verdict = judgeElf(place.file, start);
  const code = place.role === 'loader' ? 'ELIBBAD' : 'ENOEXEC';
  if (verdict.kind === 'foreign')
    return flaw(
      place,
      code,
      'is not an executable for this machine',
      `was ${place.file} built for another architecture?`,
    );
  if (verdict.kind === 'damaged') return flaw(place, code, 'is cut off or damaged', completely);
  if (verdict.loader === undefined || place.role === 'loader') return undefined;
  return judgeNamed(place, verdict.loader, 'loader');
}

/** What is neither a program nor a script. */
function judgeRest(place: Place, { bytes, size }: Start): Flaw {
  if (size === 0) return flaw(place, 'ENOEXEC', 'is empty', completely);
  if (bytes.subarray(0, 5).equals(Buffer.from('\uFEFF#!')))
    return flaw(
      place,
      'ENOEXEC',
      'begins with a byte order mark, and not with #!',
      'save it without the byte order mark (BOM)',
    );
  const first = bytes.subarray(0, Math.min(size, 4));
  const hex = [...first].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return flaw(
    place,
    'ENOEXEC',
    `is neither a program nor a script with a #! line: it begins with the bytes ${hex}`,
    [`a script of the shell must begin with #!/bin/sh, or be run by /bin/sh ${place.file}`, completely],
  );
}

const completely = 'was it copied or downloaded completely?';
const shellLine = 'a script of the shell begins with #!/bin/sh';
const deniedHint = 'is its volume mounted noexec, or does a security profile forbid it?';

function flaw(place: Place, code: string, words: string, hint?: string | readonly string[]): Flaw {
  const { command, file, role, namedBy } = place;
  const namer = namedBy === command ? '' : ` (named by ${namedBy})`;
  // A carriage return must be seen.
  const named = `its ${role} ${file.replaceAll('\r', String.raw`\r`)}${namer}`;
  const missing = role === 'it' && code === 'ENOENT';
  return { code, missing, failure: refusal(command, `${role === 'it' ? 'it' : named} ${words}`, hint) };
}

function refusal(command: string, why: string, hint?: string | readonly string[]): Failure {
  return new Failure(failed(exitStatus.notExecutable, `cannot run ${command}: ${why}`, { hint }));
}

/** What the kernel said of a file that had no flaw before. */
export function startFailure(file: string, { code = '', errno, message }: NodeJS.ErrnoException): Failure {
  // It may have changed since.
  const found = flawOf(file);
  if (found !== undefined) return found.failure;
  switch (code) {
    case 'E2BIG':
      return refusal(file, 'its arguments and environment are too large (E2BIG)');
    case 'ETXTBSY':
      return refusal(
        file,
        'it is open for writing (ETXTBSY)',
        'is it still being copied, unpacked or downloaded?',
      );
    case 'EACCES':
      return refusal(file, 'permission denied (EACCES)', deniedHint);
    case 'ENOEXEC':
      return refusal(file, 'it is not an executable for this machine (ENOEXEC)', completely);
    case 'EAGAIN':
      return refusal(
        file,
        'no process could be started (EAGAIN)',
        'has the container, or its user, reached its limit of processes?',
      );
    default:
      return refusal(file, code === '' && errno === undefined ? message : wordsOf(code, errno));
  }
}

function wordsOf(code: string, errno: number | undefined): string {
  if (code === 'ELOOP') return 'its symlinks lead in a circle (ELOOP)';
  // That of execve is positive, and some of its errors are none of libuv's.
  const [name, words] = (errno === undefined ? undefined : getSystemErrorMap().get(-Math.abs(errno))) ?? [];
  return words === undefined ? code || `error ${errno} of the system` : `${words} (${name})`;
}
