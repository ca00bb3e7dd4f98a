// Publishes as a command would, in a process of its own that can be killed. Takes one JSON argument; prints one JSON line.
import { writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';

import { Failure, SignalReceived } from '../../../../src/core/outcome.ts';
import { stageFile } from '../../../../src/fs/publish/atomic-file.ts';
import { stageSet } from '../../../../src/fs/publish/file-set.ts';
import { commitAll } from '../../../../src/fs/publish/published.ts';
import { checkFilePlace, checkSetPlace } from '../../../../src/fs/publish/target-checks.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';

export interface Job {
  /** One file, or a folder. */
  path: string;
  /** Content by name: a set. One file where there is only `''`. */
  files: Record<string, string>;
  mode?: number;
  owner?: { uid: number; gid: number };
  set?: string;
  /** Repeats each content so many times. */
  repeat?: number;
  /** Says "staged" and waits for a byte on standard input before the swap. */
  hold?: boolean;
  /** Only checks, as before fetching. */
  check?: 'memory' | 'disk';
}

const job = JSON.parse(process.argv[2] ?? '') as Job;
const controller = new AbortController();
process.on('SIGTERM', () => controller.abort(new SignalReceived('SIGTERM')));
const context = { signal: controller.signal, clock: systemClock, random: Math.random };
const say = (value: unknown): void => void writeSync(1, `${JSON.stringify(value)}\n`);

function content(text: string) {
  return { bytes: Buffer.from(text.repeat(job.repeat ?? 1)), mode: job.mode ?? 0o440, owner: job.owner };
}

async function work(): Promise<unknown> {
  const single = job.files[''];
  const entries = Object.entries(job.files);
  if (job.check !== undefined) {
    const intent = { memoryOnly: job.check === 'memory' };
    if (single === undefined) checkSetPlace(job.path, Object.keys(job.files), intent);
    else checkFilePlace(job.path, intent);
    return 'checked';
  }
  const staged =
    single === undefined
      ? await stageSet(
          job.path,
          new Map(entries.map(([name, text]) => [name, content(text)])),
          job.set ?? 'set',
          { memoryOnly: false },
          context,
        )
      : await stageFile(
          `${dirname(job.path)}/${basename(job.path)}`,
          content(single),
          { memoryOnly: false },
          context,
        );
  try {
    if (job.hold) {
      say('staged');
      await new Promise((resolve) => {
        process.stdin.once('data', resolve).once('end', resolve);
        controller.signal.addEventListener('abort', resolve, { once: true });
      });
      process.stdin.destroy();
    }
    return await commitAll([staged], context.signal);
  } finally {
    await staged.discard();
  }
}

try {
  say({ done: await work() });
} catch (error) {
  const { message } = error as Error;
  say({ error: error instanceof Failure ? error.outcome : { status: 128, what: message } });
  process.exitCode = 1;
}
