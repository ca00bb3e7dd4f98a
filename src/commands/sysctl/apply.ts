import { closeSync, writeSync } from 'node:fs';

import { reasonOf, sleep, unlessAborted } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus, signalStatus } from '../../core/exit-status.ts';
import { DeadlinePassed, failed, type Failed, SignalReceived } from '../../core/outcome.ts';
import { sideBySide } from '../../fs/calls.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import { leaveThreadCall } from '../../process/thread-pool.ts';
import { hintsFor, whyDenied, whyNotTaken, whyOther } from './explain.ts';
import type { JudgedSetting } from './judge.ts';
import { setWords, wantedWords } from './outcome.ts';
import { meets, type Present, presentIn, shortened } from './value.ts';

/** What became of the settings. */
export interface Applied {
  /** Those that were written, and read back. */
  readonly written: readonly JudgedSetting[];
  /** Why not all of them are right. */
  readonly failure?: Failed;
}

/** Of the settings that are raised, those for which the kernel has to find memory. */
const takesLong = /hugepages/;

/**
 * Milliseconds after which whoever looked at a value before it was raised has written its own, lower one; and how often
 * it is raised again. The kernel cannot compare and set in one step, and containers share no lock.
 */
const settleTime = 100;
const settleRounds = 5;

/** Writes what differs, in its order, and reads it back. All are opened to be written before the first one is. */
export async function applySettings(all: readonly JudgedSetting[], context: Context): Promise<Applied> {
  const changes = all.filter(({ right }) => !right);
  if (changes.length === 0) return { written: [] };
  using writing = new DisposableStack();
  const opened: { readonly change: JudgedSetting; readonly descriptor: number }[] = [];
  for (const change of changes) {
    try {
      const descriptor = change.file.openToWrite();
      writing.defer(() => closeSync(descriptor));
      opened.push({ change, descriptor });
    } catch (error) {
      return { written: [], failure: notOpened(change, changes, error, context.host.uid) };
    }
  }
  const written: JudgedSetting[] = [];
  for (const [index, { change, descriptor }] of opened.entries()) {
    const became = await write(change, descriptor, context);
    if (became === 'written') written.push(change);
    else if (became !== 'right')
      return { written, failure: withRest(became, written, changes.slice(index + 1)) };
  }
  const raised = changes.filter(({ setting }) => setting.atLeast);
  const failure = (await settle(raised, context)) ?? undoneByAnother(all);
  return failure === undefined ? { written } : { written, failure: withRest(failure, written, []) };
}

async function write(
  change: JudgedSetting,
  descriptor: number,
  { signal }: Context,
): Promise<'written' | 'right' | Failed> {
  const { setting, file } = change;
  const { name, path, value } = setting;
  try {
    if (signal.aborted) throw reasonOf(signal);
    const bytes = Buffer.from(`${value}\n`);
    // Somebody else may have set it meanwhile: what is high enough now must not be lowered.
    if (meets(setting, presentIn(file.read(), path))) return 'right';
    // A limit is taken at once, and nothing may come between the look and the write.
    if (setting.atLeast && !takesLong.test(name)) writeSync(descriptor, bytes);
    else await writeByThread(descriptor, bytes, signal);
    const now = presentIn(file.read(), path);
    // What is raised is looked at again later.
    return setting.atLeast || meets(setting, now) ? 'written' : madeOther(change, now);
  } catch (error) {
    const ended = endedEarly(error, name);
    if (ended !== undefined) return ended;
    const code = systemErrorCode(error);
    if (code === undefined) throw error;
    return failed(
      exitStatus.failed,
      `the kernel refuses to set ${name} to ${shortened(value)} (${code}); it is ${shortened(change.present.value)}`,
      { hint: whyNotTaken(code, setting) },
    );
  }
}

/** It can be left: the kernel may take as long as it needs. */
async function writeByThread(descriptor: number, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const writing = Promise.resolve(sideBySide.write(descriptor, bytes, 0, bytes.length));
  signal.addEventListener('abort', leaveThreadCall, { once: true });
  await unlessAborted(writing, signal).finally(() => signal.removeEventListener('abort', leaveThreadCall));
}

/** Raises again what another run has lowered since then, until all stays. */
async function settle(raised: readonly JudgedSetting[], context: Context): Promise<Failed | undefined> {
  if (raised.length === 0) return undefined;
  for (let round = 1; ; round++) {
    try {
      await sleep(context.clock, settleTime, context.signal);
    } catch (error) {
      const ended = endedEarly(error, raised.map(({ setting }) => setting.name).join(', '));
      if (ended === undefined) throw error;
      return ended;
    }
    const low = raised.filter(({ setting, file }) => !meets(setting, presentIn(file.read(), setting.path)));
    const [first] = low;
    if (first === undefined) return undefined;
    if (round === settleRounds) return madeOther(first, presentIn(first.file.read(), first.setting.path));
    for (const change of low) {
      // A second write to one descriptor would not be at its beginning, and the kernel ignores it (sysctl_writes_strict).
      const descriptor = change.file.openToWrite();
      try {
        const became = await write(change, descriptor, context);
        if (typeof became === 'object') return became;
      } finally {
        closeSync(descriptor);
      }
    }
  }
}

function madeOther({ setting }: JudgedSetting, now: Present): Failed {
  return failed(
    exitStatus.failed,
    `${setting.name} was set to ${shortened(setting.value)}, and the kernel made it ${shortened(now.value)}`,
    { hint: whyOther(setting) },
  );
}

/** Undefined where it is no signal and no deadline that ended it. */
function endedEarly(error: unknown, name: string): Failed | undefined {
  if (error instanceof SignalReceived)
    return failed(signalStatus(error.signal), `ended by ${error.signal} while ${name} was to be set`);
  if (error instanceof DeadlinePassed)
    return failed(exitStatus.deadline, `${error.message}, while ${name} was to be set`);
  return undefined;
}

/** One may have changed another, as vm.dirty_bytes does vm.dirty_ratio. */
function undoneByAnother(all: readonly JudgedSetting[]): Failed | undefined {
  for (const { setting, file } of all) {
    const now = presentIn(file.read(), setting.path);
    if (!meets(setting, now))
      return failed(
        exitStatus.failed,
        `${setting.name} is ${shortened(now.value)} once all are set, and not ${wantedWords(setting)}`,
        { hint: 'another of these settings changes it as well, or somebody else on this node sets it' },
      );
  }
  return undefined;
}

function notOpened(
  change: JudgedSetting,
  changes: readonly JudgedSetting[],
  error: unknown,
  uid: number,
): Failed {
  const { setting, present, file } = change;
  const code = systemErrorCode(error) ?? String(error);
  const readOnly = (file.stat.mode & 0o222) === 0;
  return failed(
    exitStatus.failed,
    `${setting.name} cannot be set (${code}): it is ${shortened(present.value)}, and should be ${wantedWords(setting)}; nothing was changed`,
    {
      hint: readOnly
        ? 'the kernel only shows it, and nobody can set it'
        : [whyDenied(code, uid) ?? [], hintsFor(changes.map((one) => one.setting))].flat(),
    },
  );
}

function withRest(
  failure: Failed,
  before: readonly JudgedSetting[],
  after: readonly JudgedSetting[],
): Failed {
  const details = [
    ...before.map(setWords),
    ...(after.length === 0 ? [] : [`not tried: ${after.map(({ setting }) => setting.name).join(', ')}`]),
  ];
  return details.length === 0 ? failure : { ...failure, details };
}
