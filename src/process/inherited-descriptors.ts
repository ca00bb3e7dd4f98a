import { closeSync, readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

import { muteExperimentalWarnings } from './standard-streams.ts';

/** O_CLOEXEC, as /proc/self/fdinfo shows it. */
const closesOnExec = 0o2000000;
/** F_SETFD and FD_CLOEXEC of fcntl(2). */
const setFlags = 2;
const closeOnExec = 1;

let looked = false;

/**
 * Keeps descriptors above 2 that this process was started with from the commands that it starts or becomes. Node does
 * so at its start, but stops at the first number above 15 that is not open (uv_disable_stdio_inheritance in libuv's
 * unix/process.c). Node opens all its own descriptors with O_CLOEXEC, so one look is enough, and what a child shall get
 * is passed on by spawn.
 */
export function closeInheritedOnExec(): void {
  if (looked) return;
  looked = true;
  const inherited = openDescriptors().filter((descriptor) => descriptor > 2 && staysOpen(descriptor));
  if (inherited.length === 0) return;
  try {
    muteExperimentalWarnings();
    const { dlopen } = process.getBuiltinModule('node:ffi');
    const { functions } = dlopen(null, { fcntl: { return: 'i32', arguments: ['i32', 'i32', 'i32'] } });
    for (const descriptor of inherited) functions.fcntl(descriptor, setFlags, closeOnExec);
  } catch {
    // This Node cannot call the C library. Closed, they are not there for `/dev/fd/63` in a later step either.
    for (const descriptor of inherited) closeSync(descriptor);
  }
}

function openDescriptors(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return []; // no /proc: which ones are open is not known
  }
}

function staysOpen(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & closesOnExec) === 0;
  } catch {
    return false; // the descriptor of the listing itself
  }
}
