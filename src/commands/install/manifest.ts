import { createHash } from 'node:crypto';
import { type BigIntStats, constants, readFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import type { Directory } from '../../fs/directory/directory.ts';
import { type RuntimeFolders, whyNotOwn } from './folders.ts';

/** The list of the runtime's files, made with the image; paths are relative to the runtime's folder. */
export interface Manifest {
  readonly version: string;
  /** A digest over the list of files: two runtimes of one build are the same. */
  readonly build: string;
  readonly files: readonly RuntimeFile[];
}

export interface RuntimeFile {
  readonly path: string;
  readonly size: number;
  /** Octal permissions: `0755`. */
  readonly mode: string;
  readonly sha256: string;
}

export const installManifestName = 'manifest.json';

/** The manifest in the folder that this program runs from; undefined where there is none that can be read. */
export function readManifest(folder: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, installManifestName), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

/** All that a copy consists of: the files, and the list itself as the last one. */
export function filesOf(source: string, { files }: Manifest): readonly RuntimeFile[] {
  const bytes = readFileSync(join(source, installManifestName));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return [...files, { path: installManifestName, size: bytes.length, mode: '0644', sha256 }];
}

/** Tells the runtime's files, its folders, and what installs write beside their places. */
export function isOfRuntimeIn(files: readonly RuntimeFile[]): (folder: string, name: string) => boolean {
  const paths = new Set<string>();
  for (const { path } of files) for (let at = path; at !== '.'; at = dirname(at)) paths.add(at);
  return (folder, name) => paths.has(join(folder, wholeName(name)));
}

/** What a file that is half-written is to become. */
export function wholeName(name: string): string {
  return name.replace(/\.\d+-[0-9a-z]+\.tmp$/, '');
}

/** The folder that a file is in, as RuntimeFolders knows it. */
export function folderOf({ path }: RuntimeFile): string {
  return dirname(path);
}

/** Bytes that are read between two looks at the signal. */
const piece = 1 << 20;

/**
 * How files are read. All are read into the same bytes, one after the other: those of each file would be freed late, and
 * a container may have 32 MiB.
 */
export interface FileReading {
  readonly buffer: Buffer;
  readonly signal: AbortSignal;
}

export function readingUntil(signal: AbortSignal): FileReading {
  return { buffer: Buffer.allocUnsafeSlow(piece), signal };
}

/** What a look at a copy of a file found. */
export interface Looked {
  /** Undefined where it is right. */
  readonly problem: string | undefined;
  /** Which state of which file was looked at; undefined where none could be opened. */
  readonly state: string | undefined;
}

/** Tells one state of a file: another file has another inode, and a change gives the same one another time (ctime). */
export function stateOf({ dev, ino, ctimeNs, size, mode, uid }: BigIntStats): string {
  return [dev, ino, ctimeNs, size, mode, uid].join('-');
}

/**
 * What is wrong with a copy of a file; undefined where it is right.
 * @throws as lookAt
 */
export async function problemOf(
  folders: RuntimeFolders,
  file: RuntimeFile,
  reading: FileReading,
): Promise<string | undefined> {
  return (await lookAt(folders, file, reading)).problem;
}

/**
 * Compares a copy of a file with the list. Its content is always compared: size and times are what somebody else would
 * have made right. All of it is asked of one open file, which no link leads to.
 * @throws the signal's reason, Failure where its folder is not one to write to, or the system's error of that folder
 */
export async function lookAt(
  folders: RuntimeFolders,
  file: RuntimeFile,
  reading: FileReading,
): Promise<Looked> {
  const { path } = file;
  const folder = folders.find(folderOf(file));
  if (folder === undefined) return { problem: `${path} is missing or unreadable (ENOENT)`, state: undefined };
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    await using handle = await open(folder.at(basename(path)), flags);
    // Before it is read: whatever changes from here on has another state.
    const state = stateOf(await handle.stat({ bigint: true }));
    return { problem: await problemIn(handle, folder, file, reading), state };
  } catch (error) {
    if (reading.signal.aborted) throw reasonOf(reading.signal);
    const { code } = error as NodeJS.ErrnoException;
    const problem =
      code === 'ELOOP' ? `${path} is a symbolic link` : `${path} is missing or unreadable (${code})`;
    return { problem, state: undefined };
  }
}

async function problemIn(
  handle: FileHandle,
  folder: Directory,
  file: RuntimeFile,
  reading: FileReading,
): Promise<string | undefined> {
  const { path } = file;
  const stat = await handle.stat();
  if (!stat.isFile()) return `${path} is not a file`;
  const why = whyNotOwn(folder, stat);
  if (why !== undefined) return `${path} ${why}`;
  if (stat.size !== file.size) return `${path} has ${stat.size} bytes instead of ${file.size}`;
  if ((stat.mode & 0o7777) !== Number.parseInt(file.mode, 8)) return `${path} has the wrong mode`;
  return (await sha256Of(handle, reading)) === file.sha256 ? undefined : `${path} has other content`;
}

async function sha256Of(handle: FileHandle, { buffer, signal }: FileReading): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; ;) {
    if (signal.aborted) throw reasonOf(signal);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}
