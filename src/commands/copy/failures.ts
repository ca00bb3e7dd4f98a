import { UsageError } from '../../core/outcome.ts';
import type { Work } from '../../fs/calls.ts';
import type { RawName } from '../../fs/directory/file-name.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import { HelperLost } from '../../fs/tree/worker-pool.ts';

/** Something went wrong on the side of DEST: never to be taken for a source that vanished. */
export class WriteFailed extends Error {
  override readonly name = 'WriteFailed';
  readonly code: string;
  /** Relative to DEST, where it is one entry that could not be written. */
  readonly entry: RawName | undefined;

  constructor(error: unknown, entry?: RawName) {
    const { message } = error as NodeJS.ErrnoException;
    const code = systemErrorCode(error);
    super(message, { cause: error });
    this.code = code === 'ENOENT' ? stageLost : (code ?? message);
    this.entry = entry;
  }
}

/** The place in which the copy is prepared was removed under our hands. */
export const stageLost = 'ESTAGELOST';

/** Codes that hold for every entry that would follow: the copy ends at the first. */
const final: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', stageLost]);

export function isFinal(error: unknown): boolean {
  return error instanceof WriteFailed && final.has(error.code);
}

/**
 * Does work on the side of DEST.
 * @param entry what it is done to, relative to DEST
 * @throws WriteFailed
 */
export function writing<T>(work: () => T, entry?: RawName): T {
  try {
    return work();
  } catch (error) {
    throw writeFailed(error, entry);
  }
}

/** The same for work that is cut at its calls. @throws WriteFailed */
export function* writingIn<T>(work: Work<T>): Work<T> {
  try {
    return yield* work;
  } catch (error) {
    throw writeFailed(error);
  }
}

/** What an error on the side of DEST is to be thrown as. */
export function writeFailed(error: unknown, entry?: RawName): WriteFailed | InTheWay {
  return error instanceof WriteFailed || error instanceof InTheWay ? error : new WriteFailed(error, entry);
}

/** A source changed while it was copied: what it has not any more is no proof that it goes in DEST. */
export class SourceChanged extends Error {
  override readonly name = 'SourceChanged';

  constructor() {
    super('a source changed while it was copied');
  }
}

/** What can be the work of others at the sources: neither DEST, nor the end of the time, nor something decided on. */
export function mayBeOfSources(error: unknown): boolean {
  // A helper opens a source by its path.
  if (error instanceof UsageError || error instanceof HelperLost) return true;
  if (error instanceof WriteFailed || error instanceof InTheWay) return false;
  return systemErrorCode(error) !== undefined;
}

/** A ConfigMap or Secret moved on to another version while it was copied. */
export class Outdated extends Error {
  override readonly name = 'Outdated';
}

/** Something stands in DEST that a copy does not replace. */
export class InTheWay extends Error {
  override readonly name = 'InTheWay';
  readonly code = 'EINTHEWAY';
}
