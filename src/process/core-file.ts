import { openSync, readSync, writeSync } from 'node:fs';

/** Which parts of the memory the kernel writes into a core file (core(5)); kept across fork and execve. */
const filterPath = '/proc/self/coredump_filter';

/**
 * The open setting, and what the container gave. Held open: after a change of the user, what is in /proc/self belongs to
 * root.
 */
let filter: { readonly descriptor: number; readonly given: string } | undefined;

/**
 * Keeps this process's memory, and with it every secret in it, out of core files: container runtimes set no limit for
 * those, and V8 aborts where it has no memory left. What remains is the registers and the first 80 bytes of the command
 * line. Where the kernel has no such setting (gVisor), nothing changes.
 */
export function leaveMemoryOutOfCoreFiles(): void {
  try {
    const descriptor = openSync(filterPath, 'r+');
    const text = Buffer.alloc(32);
    // Hexadecimal, without the 0x that it is written with.
    filter = { descriptor, given: `0x${text.toString('latin1', 0, readSync(descriptor, text)).trim()}` };
  } catch {
    return; // no /proc, or a kernel that writes no core files
  }
  set('0');
}

/** For a program that takes over: its core files are as the container wants them. */
export function giveBackCoreFiles(): void {
  if (filter !== undefined) set(filter.given);
}

/** Starts a program whose core files are as the container wants them; this process's stay without memory. */
export function withCoreFiles<T>(start: () => T): T {
  giveBackCoreFiles();
  try {
    return start();
  } finally {
    set('0');
  }
}

function set(value: string): void {
  if (filter === undefined) return;
  try {
    writeSync(filter.descriptor, value);
  } catch {
    // A seccomp profile or a kernel that shows it and does not take it: as it was.
  }
}
