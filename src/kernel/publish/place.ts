import { accessSync, constants, fstatSync, readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { exitStatus } from '../exit-status.ts';
import { modeText, type Owner } from './attributes.ts';
import { Directory, linkTarget } from './directory.ts';
import { currentGeneration, placeOf, presentAmong, throughData } from './links.ts';
import { topNames } from './manifest.ts';
import { checkPlace } from './one-file.ts';
import { explained, refused, subPathHint } from './problems.ts';

/** f_type of statfs(2) for file systems that are memory. */
const inMemory: ReadonlySet<number> = new Set([0x01021994 /* tmpfs */, 0x858458f6 /* ramfs */]);

/** What is to be written, before anything of it is known but names. */
export interface Intent {
  /** True where it must not reach a disk. */
  readonly memoryOnly: boolean;
}

/**
 * Checks all that can be checked of a file's place before its content is fetched.
 * @throws Failure with status 2
 */
export function checkFilePlace(path: string, intent: Intent): void {
  const whole = resolve(path);
  const name = basename(whole);
  if (path.endsWith('/') || name === '') {
    throw refused(
      `cannot write ${path}: it names a folder`,
      'name a file in it, or write one file per field with --format files',
      exitStatus.usage,
    );
  }
  using directory = openForWriting(dirname(whole), whole, intent);
  checkPlace(directory, name, whole, exitStatus.usage);
  checkNoMount(mountPoints(), directory, name, whole);
}

/**
 * Checks all that can be checked of a directory that is to hold files.
 * @param paths of the files below it, as far as they are known
 * @throws Failure with status 2
 */
export function checkSetPlace(path: string, paths: Iterable<string>, intent: Intent): void {
  const whole = resolve(path);
  using directory = openForWriting(whole, whole, intent);
  try {
    currentGeneration(directory);
    const mounts = mountPoints();
    for (const name of presentAmong(directory, topNames(paths))) {
      placeOf(directory, name);
      checkNoMount(mounts, directory, name, join(whole, name));
    }
  } catch (error) {
    throw explained(error, whole, { status: exitStatus.usage });
  }
}

function openForWriting(folder: string, shown: string, { memoryOnly }: Intent): Directory {
  try {
    using stack = new DisposableStack();
    const directory = stack.use(Directory.open(folder));
    if (/^\/(dev|proc(\/.*)?|sys(\/.*)?)$/.test(readlinkSync(directory.itself))) {
      throw refused(
        `cannot write ${shown}: ${folder} belongs to the system`,
        'write to a volume; standard output is for reports, and a value there would end up in a log',
        exitStatus.usage,
      );
    }
    accessSync(directory.itself, constants.W_OK | constants.X_OK);
    if (memoryOnly && !isInMemory(directory)) {
      throw refused(
        `cannot write ${shown}: it is a secret, and ${folder} is not in memory`,
        'mount an emptyDir with medium: Memory there, or allow the disk with --allow-disk',
        exitStatus.usage,
      );
    }
    stack.move();
    return directory;
  } catch (error) {
    if (folder === shown && (error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw refused(
        `cannot write to ${shown}: there is no such folder`,
        'is the volume mounted in this init container, and at this path? Folders are not made, so that a mistyped path does not go unnoticed',
        exitStatus.usage,
      );
    }
    throw explained(error, shown, { status: exitStatus.usage });
  }
}

/** Device and inode of a folder, by which two paths to one folder can be told. */
export function identityOfFolder(path: string): string {
  using directory = Directory.open(path);
  return directory.identity();
}

/**
 * Does this file lie in memory, as the volumes of Secrets do and those of ConfigMaps do not?
 * @throws the system's error
 */
export function isFileInMemory(path: string): boolean {
  return inMemory.has(statfsSync(path).type);
}

function isInMemory(directory: Directory): boolean {
  return inMemory.has(statfsSync(directory.itself).type);
}

/** A file that is a mount of its own (subPath) cannot be renamed over; rename(2) would say EBUSY. */
function checkNoMount(mounts: ReadonlySet<string>, directory: Directory, name: string, shown: string): void {
  if (!mounts.has(join(readlinkSync(directory.itself), name))) return;
  throw refused(
    `cannot write ${shown}: it is a mount of its own, which cannot be replaced`,
    subPathHint,
    exitStatus.usage,
  );
}

/** The fifth field of each line (proc_pid_mountinfo(5)), with spaces and the like as octal escapes. */
function mountPoints(): ReadonlySet<string> {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    return new Set(
      lines.map((line) =>
        (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) =>
          String.fromCharCode(Number.parseInt(octal, 8)),
        ),
      ),
    );
  } catch {
    return new Set();
  }
}

/**
 * What to tell people whose secret the app may not be able to read: written by one user, read by another, the group is
 * all that they can share.
 * @returns undefined where it can be read, as far as that can be told
 */
export function sharingWarning(
  folder: string,
  mode: number,
  owner: Owner | undefined,
  self: { readonly uid: number; readonly gid: number },
): string | undefined {
  if (owner !== undefined || (mode & 0o004) !== 0) return undefined;
  using directory = Directory.open(folder);
  const { mode: folderMode, gid } = fstatSync(directory.fd);
  // A setgid directory hands its group on, which is what fsGroup is for.
  const shares = (folderMode & 0o2000) !== 0 && gid !== 0 && (mode & 0o040) !== 0;
  if (shares) return undefined;
  return `with mode ${modeText(mode)} only user ${self.uid}${(mode & 0o040) === 0 ? '' : ` and group ${self.gid}`} can read what is written to ${folder}: an app that runs as another user needs fsGroup in the pod's securityContext, the same runAsUser, --owner, or --mode 0444`;
}

/** Is this name a link of ours through `..data`, so that a single rename would break what it belongs to? */
export function isManaged(folder: string, name: string): boolean {
  try {
    using directory = Directory.open(folder);
    return linkTarget(directory, name) === throughData(name) && currentGeneration(directory) !== undefined;
  } catch {
    return false; // the checks of the place say why
  }
}
