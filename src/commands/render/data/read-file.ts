import { InputTooLarge, readInput, whyUnread } from '../../../fs/input-file.ts';

/**
 * Reads a file whole.
 * @param largest bytes that it may have
 * @param judge is given the open file, of which the bytes are
 * @throws Error in words that follow its name
 */
export function readWhole(path: string, largest: number, judge?: (descriptor: number) => void): Uint8Array {
  try {
    return readInput(path, largest, judge);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      code === 'ENOENT' || code === 'ENOTDIR'
        ? 'there is no such file; is the volume mounted here?'
        : `it ${whyUnread(error)}${error instanceof InputTooLarge ? ' (--max-size)' : ''}`,
      { cause: error },
    );
  }
}
