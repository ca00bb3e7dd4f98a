import { statfsSync } from 'node:fs';

import { exitStatus } from '../core/exit-status.ts';
import { Failure, failed, firstFailure } from '../core/outcome.ts';
import { formatBytes, formatLess } from '../core/size.ts';
import type { Directory } from './directory/directory.ts';
import { WrongPlace } from './directory/missing-folders.ts';
import { ExchangedInPath, LinkInPath } from './directory/pinned-path.ts';

/** Why nothing can be, or was, published. Status 2 before anything was tried, 1 afterwards. */
export function refused(what: string, hint?: string, status: number = exitStatus.failed): Failure {
  return new Failure(failed(status, what, { hint }));
}

/** Somebody took away what was prepared, and put something else in its place. */
export function exchanged(path: string): Failure {
  return refused(
    `cannot write ${path}: what was prepared there was exchanged for something else before it was shown`,
    'somebody else renames what is in that folder: use one of its own',
  );
}

/** It was renamed into its place, and then the file system failed to put that on the medium. */
export function shownOnly(error: unknown, path: string): Failure {
  return refused(
    `${path} has its new content, but the file system did not confirm that it outlasts a loss of power: ${withoutHandle(error as Error)}`,
    'the medium or the server of the file system failed (dmesg on the node)',
  );
}

const unwritable =
  'an emptyDir is writable for any user; for other volumes set fsGroup in the pod, or runAsUser to their owner';

/**
 * A system's error in words.
 * @param path what could not be made
 * @param directory where it would be, for the room that is left
 * @param needed the bytes that it takes
 */
export function explained(
  thrown: unknown,
  path: string,
  more: {
    readonly directory?: Directory;
    readonly needed?: number;
    readonly status?: number;
    /** What could not be done to it. */
    readonly doing?: string;
  } = {},
): Failure {
  const error = firstFailure(thrown);
  if (error instanceof WrongPlace) return error;
  if (error instanceof Failure) {
    return more.status === undefined ? error : new Failure({ ...error.outcome, status: more.status });
  }
  const where = `cannot ${more.doing ?? 'write'} ${path}`;
  if (error instanceof LinkInPath) {
    return refused(
      `${where}: ${error.link} is a symbolic link to ${JSON.stringify(error.target)}, which others may have made`,
      linkHint,
      exitStatus.usage,
    );
  }
  // Whatever status was asked for: a rerun may find it at rest.
  if (error instanceof ExchangedInPath)
    return refused(
      `${where}: ${error.message}`,
      'somebody else renames what is in that folder: use one of its own',
    );
  const { syscall } = error as NodeJS.ErrnoException;
  const code = systemErrorCode(error);
  const say = (what: string, hint?: string): Failure =>
    refused(`${where}: ${what} (${code})`, hint, more.status);
  switch (code ?? '') {
    case 'EDQUOT':
      return say('the quota is used up', quotaHint);
    case 'ENOSPC':
      return say('the volume is full', roomHint(more.directory, more.needed));
    case 'EROFS':
      return say(
        'it is on a read-only file system',
        'mount the volume without readOnly in this init container; the image itself is not a place to write to',
      );
    case 'EBUSY':
      return say('it is a mount of its own, which cannot be replaced', subPathHint);
    case 'EACCES':
      return say('permission denied', unwritable);
    case 'EPERM':
      return syscall?.endsWith('chown') === true
        ? say(
            'the owner cannot be changed',
            '--owner needs the capability CHOWN, except for a group that this user is in',
          )
        : say(
            'not permitted',
            `is it an immutable or append-only file (lsattr shows i or a), or another user's file in a folder with the sticky bit? ${unwritable}`,
          );
    case 'ENOENT':
      return say(
        'its folder does not exist',
        'is the volume mounted in this init container, and at this path?',
      );
    case 'ENOTDIR':
      return say('a part of its path is not a folder');
    case 'ELOOP':
      return say('a part of its path is a symbolic link where none may be');
    case 'EISDIR':
      return say('it is a folder', 'name a file in it, or write one file per field with --format files');
    case 'ENAMETOOLONG':
      return say('the name is too long for its file system');
    default:
      return refused(`${where}: ${withoutHandle(error as Error)}`, undefined, more.status);
  }
}

export const quotaHint =
  'raise the quota that the file system has for this user, group or project, or remove what counts towards it; for an emptyDir it is its sizeLimit';

/** The error number of EDQUOT (errno(3)), for which Node has no name. */
const noQuotaLeft = -122;

/** The code of a system's error; EDQUOT too. */
export function systemErrorCode(error: unknown): string | undefined {
  const { code, errno } = error as NodeJS.ErrnoException;
  return errno === noQuotaLeft ? 'EDQUOT' : code;
}

/** A system's error without the call and the path in /proc/self/fd, which says nothing to people: `i/o error (EIO)`. */
export function withoutHandle(error: Error): string {
  const [, code, what] = /^([A-Z0-9]+): (.+), \w+(?: '.*)?$/s.exec(error.message) ?? [];
  return code === undefined || what === undefined ? error.message : `${what} (${code})`;
}

const linkHint =
  'write the real path, without links: only those that the image itself has, in folders that root alone may write to, are followed';

export const subPathHint =
  'with subPath a single file is mounted, and neither replaced nor updated: mount the whole volume at its folder instead';

function roomHint(directory: Directory | undefined, needed: number | undefined): string {
  const advice =
    "raise the volume's size: sizeLimit of an emptyDir, or the container's memory limit where medium is Memory";
  if (!directory || needed === undefined) return advice;
  const { bavail, bsize, ffree, files } = statfsSync(directory.itself);
  // Measured after everything was taken back: enough bytes, so that something else was missing.
  if (files > 0 && bavail * bsize > needed)
    return `it has ${ffree} inodes left, too few for so many files; ${advice}`;
  return `${formatBytes(needed)} are needed beside what is there, since the old stays until the new is complete, and ${formatLess(bavail * bsize, needed)} are free; ${advice}`;
}
