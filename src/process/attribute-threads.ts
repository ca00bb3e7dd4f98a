import process from 'node:process';
import type { Worker } from 'node:worker_threads';

/**
 * Threads that list attributes, each one call at a time. Node has no such call among those that its own threads make, and
 * on a network volume each takes a journey. A thread costs some 7 MiB.
 */
const threads = 4;

/** What each of them runs. Names and paths end with a NUL; a negative length is an error: there is nothing to list. */
const program = `
const { parentPort } = process.getBuiltinModule('node:worker_threads');
const { functions } = process.getBuiltinModule('node:ffi').dlopen(null, {
  flistxattr: { return: 'i32', arguments: ['i32', 'buffer', 'u32'] },
  llistxattr: { return: 'i32', arguments: ['buffer', 'buffer', 'u32'] },
});
const names = Buffer.alloc(65536);
parentPort.on('message', ({ ticket, entry }) => {
  const path = typeof entry === 'number' ? undefined : Buffer.from(entry + '\\0', 'latin1');
  const list = (size) =>
    path === undefined ? functions.flistxattr(entry, names, size) : functions.llistxattr(path, names, size);
  const length = list(0) > 0 ? list(names.length) : 0;
  parentPort.postMessage({ ticket, names: names.toString('latin1', 0, Math.max(0, length)) });
});
`;

interface Answer {
  readonly ticket: number;
  readonly names: string;
}

/** Lists extended attributes side by side (xattr(7)): for volumes on which one call takes long. */
class AttributeThreads {
  readonly #workers: Worker[] = [];
  readonly #waiting = new Map<number, PromiseWithResolvers<string | undefined>>();
  #next = 0;
  #lost = false;

  constructor() {
    const { Worker: Thread } = process.getBuiltinModule('node:worker_threads');
    for (let index = 0; index < threads; index++) {
      const worker = new Thread(program, {
        eval: true,
        // Of its own kind of warning, that this call may change, each would tell.
        execArgv: [...process.execArgv, '--disable-warning=ExperimentalWarning'],
        resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
      });
      worker.on('message', (answer: Answer) => this.#hear(answer));
      for (const end of ['error', 'exit']) worker.on(end, () => this.#lose());
      worker.unref();
      this.#workers.push(worker);
    }
  }

  /** @param entry a descriptor, or a path whose last part is not followed, one character for each byte */
  list(entry: number | string): Promise<string | undefined> {
    if (this.#lost) return Promise.resolve(undefined);
    const ticket = this.#next++;
    const answer = Promise.withResolvers<string | undefined>();
    if (this.#waiting.size === 0) for (const worker of this.#workers) worker.ref();
    this.#waiting.set(ticket, answer);
    this.#workers[ticket % threads]?.postMessage({ ticket, entry });
    return answer.promise;
  }

  #hear({ ticket, names }: Answer): void {
    this.#waiting.get(ticket)?.resolve(names);
    this.#waiting.delete(ticket);
    if (this.#waiting.size === 0) for (const worker of this.#workers) worker.unref();
  }

  /** Where one cannot be had, none is asked any more: whoever waits makes the call himself. */
  #lose(): void {
    this.#lost = true;
    for (const answer of this.#waiting.values()) answer.resolve(undefined);
    this.#waiting.clear();
  }
}

let started: AttributeThreads | undefined;

/**
 * The names of an entry's extended attributes, each with a NUL at its end; empty where there are none, or the file system
 * has none. Undefined where no thread can be had.
 * @param entry a descriptor, or a path whose last part is not followed, one character for each byte
 */
export function listAttributesBeside(entry: number | string): Promise<string | undefined> {
  return (started ??= new AttributeThreads()).list(entry);
}
