import { closeSync, fstatSync, readlinkSync, realpathSync, type Stats } from 'node:fs';
import { basename, dirname } from 'node:path';

import { UsageError } from '../../core/outcome.ts';
import { calls, doAtOnce } from '../../fs/calls.ts';
import { itself, type RawName, rawOf } from '../../fs/directory/file-name.ts';
import { openDirectory } from '../../fs/directory/open-directory.ts';
import { type InputFile, InputRefused, openInput, whyUnread } from '../../fs/input-file.ts';
import { isOnlyKeys, openVersion } from './projected.ts';

/** A source of a copy, held open. */
export interface SourceRoot {
  /** As it was written. */
  readonly text: string;
  /** Where it is, without links. */
  readonly real: string;
  /** The directory, or the file. */
  readonly descriptor: number;
  readonly stat: Stats;
  /** The name that a file gets in a directory. */
  readonly name: RawName;
  /** Set where it is a ConfigMap, Secret or projected volume and nothing else is in it: the volume itself, of which `descriptor` is one version. */
  readonly volume: number | undefined;
}

/**
 * Opens a source. Links in the path are followed where root or whoever runs this made them; of a ConfigMap's or Secret's volume, it is the version
 * that is current now.
 * @throws UsageError
 */
export function openSourceRoot(text: string): SourceRoot {
  checkSource(text);
  const { descriptor, stat } = opened(text);
  const real = readlinkSync(itself(descriptor));
  const name = rawOf(basename(text));
  if (!stat.isDirectory()) {
    if (!text.endsWith('/')) return { text, real, descriptor, stat, name, volume: undefined };
    closeSync(descriptor);
    throw new UsageError(`${text} ends in a slash and is a file`);
  }
  const root = { text, real, descriptor, stat, name, volume: undefined };
  try {
    // With other entries in it, it is copied as a directory, and its keys as those of a volume below a source.
    const version = isOnlyKeys(descriptor) ? doAtOnce(openVersion(calls, descriptor)) : undefined;
    return version === undefined ? root : atVersion({ ...root, volume: descriptor }, version);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * The same of a source that need not be there.
 * @returns undefined where it is not, and need not be
 */
export function openIfThere(text: string, optional: boolean): SourceRoot | undefined {
  try {
    return openSourceRoot(text);
  } catch (error) {
    if (optional && isSourceMissing(error)) return undefined;
    throw error;
  }
}

/** @throws UsageError */
export function checkSource(text: string): void {
  if (text === '') throw new UsageError('a source is empty; write a path such as /app/plugins');
}

function opened(text: string): InputFile {
  try {
    return openInput(text);
  } catch (error) {
    throw new UsageError(`${text} ${problem(error as Error)}`, { cause: error });
  }
}

function atVersion(root: SourceRoot, descriptor: number): SourceRoot {
  return { ...root, descriptor, real: readlinkSync(itself(descriptor)), stat: fstatSync(descriptor) };
}

/** Whether an error of opening a source says that nothing is there. */
export function isSourceMissing(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  return code === 'ENOENT';
}

/** Whether a volume has moved on to another version since it was opened. */
export function isOutdated({ volume, descriptor, stat, text, real }: SourceRoot): boolean {
  // A key that was named itself leads elsewhere then.
  if (stat.isFile()) return isInVersion(real) && fileLeadsElsewhere(text, real);
  if (volume === undefined) return false;
  const { ino, nlink } = fstatSync(descriptor);
  if (nlink === 0) return true;
  try {
    const now = openDirectory(rawOf(readlinkSync(`${itself(volume)}/..data`)), volume);
    try {
      return fstatSync(now).ino !== ino;
    } finally {
      closeSync(now);
    }
  } catch {
    return true;
  }
}

/** Whether a file lies in a folder of which the kubelet, or initbox, keeps versions. */
function isInVersion(real: string): boolean {
  return basename(dirname(real)).startsWith('..');
}

/** Whether a file's path, by links in it, leads to another place than the one that was opened. */
export function fileLeadsElsewhere(text: string, real: string): boolean {
  try {
    return realpathSync(text) !== real;
  } catch {
    return false; // it is gone, and we have what it was
  }
}

/** The directories that must not be DEST: a volume, and the version of it that is copied. */
export function rootsOf({ descriptor, volume }: SourceRoot): readonly number[] {
  return volume === undefined ? [descriptor] : [descriptor, volume];
}

export function closeSourceRoot({ descriptor, volume }: SourceRoot): void {
  closeSync(descriptor);
  if (volume !== undefined) closeSync(volume);
}

function problem(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'does not exist; is it a path of this image, or of a volume mounted here?';
  if (code === 'ENOTDIR') return 'does not exist: a part of its path is not a directory';
  if (code === 'EACCES') return 'may not be read by this user; look at runAsUser';
  if (code === 'ELOOP') return 'is a symlink that leads in a circle';
  return error instanceof InputRefused ? 'is neither a file nor a directory' : whyUnread(error);
}
