import { effectiveCapabilities } from '../../process/capabilities.ts';
import { systemHost } from '../../process/host.ts';
import { type Calls, calls, doAtOnce, given, type Work } from '../calls.ts';
import { itself, type RawName } from './file-name.ts';

/** Write and search for the owner. */
const access = 0o300;

let overrides: boolean | undefined;

/** Whether modes are no bar to this process. */
function overridesModes(): boolean {
  return (overrides ??= effectiveCapabilities()?.('DAC_OVERRIDE') ?? systemHost.uid === 0);
}

/**
 * Lets this process change what is in an open directory of its own user, where the directory's mode forbids it (0555).
 * One of another user, or on a file system that keeps no modes, stays as it is: the change that follows says why not.
 * @returns gives the directory its mode back; a run that is killed before leaves it writable for its owner
 */
export function letWrite(directory: number): () => void {
  const back = doAtOnce(lettingWrite(calls, directory));
  return () => doAtOnce(back());
}

/** What is about to be changed for a while: permissions as they are, and as they will be. */
export interface Letting {
  readonly dev: number;
  readonly ino: number;
  readonly before: number;
  readonly opened: number;
}

/** Is told before a directory of a tree is opened for its own user for a while. */
export type Opening = (path: RawName, letting: Letting) => void;

/**
 * The same as work.
 * @param note is told beforehand
 */
export function* lettingWrite(
  by: Calls,
  directory: number,
  note?: (letting: Letting) => void,
): Work<() => Work<void>> {
  if (overridesModes()) return nothing;
  const { uid, mode, dev, ino } = yield* given(by.fstat(directory));
  if ((mode & access) === access || uid !== systemHost.uid) return nothing;
  const permissions = mode & 0o7777;
  note?.({ dev, ino, before: permissions, opened: permissions | access });
  try {
    yield* given(by.chmod(itself(directory), permissions | access));
  } catch {
    return nothing;
  }
  return function* back() {
    try {
      yield* given(by.chmod(itself(directory), permissions));
    } catch {
      // It was removed, with all that was in it.
    }
  };
}

function* nothing(): Work<void> {}
