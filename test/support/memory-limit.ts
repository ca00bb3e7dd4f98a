// A memory limit as a container has one: a cgroup of either version.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MemoryLimit extends Disposable {
  /** Put before a command, it runs that within the limit; it execs. */
  readonly prefix: readonly string[];
  /** The most bytes that were in use at once. */
  peak(): number;
}

const versions = [
  { base: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes' },
  { base: '/sys/fs/cgroup', limit: 'memory.max', peak: 'memory.peak' },
] as const;

let count = 0;

/** Undefined where no cgroup can be made: for requireOrSkip. */
export function limitMemory(bytes: number): MemoryLimit | undefined {
  for (const { base, limit, peak } of versions) {
    const path = join(base, `initbox-test-${process.pid}-${count++}`);
    try {
      mkdirSync(path);
      writeFileSync(join(path, limit), String(bytes));
      return {
        prefix: ['/bin/sh', '-c', `echo $$ > ${path}/cgroup.procs; exec "$@"`, 'sh'],
        peak: () => Number(readFileSync(join(path, peak), 'utf8')),
        [Symbol.dispose]: () => rmdirSync(path),
      };
    } catch {
      if (existsSync(path)) rmdirSync(path);
    }
  }
  return undefined;
}
