import { fstatSync, readdirSync, readFileSync, readSync } from 'node:fs';

import { endingSignals, type EndingSignal } from '../core/exit-status.ts';

/** O_NONBLOCK and O_CLOEXEC, as /proc/self/fdinfo shows them. */
const wanted = 0o4000 | 0o2000000;

/** struct uv__signal_msg_t of libuv's unix/signal.c: a pointer, an int, and what aligns the next one. */
const messageSize = 16;
const numberAt = 8;

/**
 * The descriptors that the event loops read signals from: pipes with both ends in this process that do not block. Each
 * loop has one, and only those for which somebody listens ever hold something. The pipe that blocks is libuv's lock,
 * and is left alone.
 */
export function signalPipes(): number[] {
  const first = new Map<number, number>();
  const pipes: number[] = [];
  for (const descriptor of openPipes()) {
    const { ino, number } = descriptor;
    const other = first.get(ino);
    if (other === undefined) first.set(ino, number);
    else pipes.push(other, number);
  }
  return pipes.filter(isReadEnd);
}

/** The first signal that ends the program and that no event loop has read yet. Takes out what it finds. */
export function unreadSignal(pipes: readonly number[]): EndingSignal | undefined {
  const messages = Buffer.alloc(messageSize * 64);
  let found: EndingSignal | undefined;
  for (const pipe of pipes) {
    let length = 0;
    try {
      length = readSync(pipe, messages);
    } catch {
      continue; // EAGAIN: nothing came
    }
    for (let at = 0; at + messageSize <= length; at += messageSize)
      found ??= named(messages.readInt32LE(at + numberAt));
  }
  return found;
}

function named(number: number): EndingSignal | undefined {
  return (Object.keys(endingSignals) as EndingSignal[]).find((name) => endingSignals[name] === number);
}

function openPipes(): { readonly number: number; readonly ino: number }[] {
  let names: string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return []; // no /proc: which ones are open is not known
  }
  return names.map(Number).flatMap((number) => {
    if (number <= 2) return [];
    try {
      const stat = fstatSync(number);
      return stat.isFIFO() ? [{ number, ino: stat.ino }] : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
}

function isReadEnd(descriptor: number): boolean {
  try {
    const found = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
    const flags = Number.parseInt(found ?? '0', 8);
    return (flags & wanted) === wanted && (flags & 3) === 0;
  } catch {
    return false;
  }
}
