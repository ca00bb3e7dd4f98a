import { readFileSync, readlinkSync } from 'node:fs';

import { quoted } from '../../core/misplaced-secret.ts';

/** The link through which readers see one set of files. The kubelet's name for it, which tools know to skip. */
export const dataLink = '..data';
/** In each generation: which publication owns which names. */
export const manifestName = '..initbox.json';

const generationPrefix = '..initbox_';
const temporaryPrefix = '..initbox-tmp_';
const copyPrefix = '..initbox-copy_';

/** Makes names that no other run makes, even in another pod that writes to the same volume. */
export interface Namer {
  /** A directory with one set of files. */
  generation(): string;
  /** A file or link that becomes visible by a rename. */
  temporary(): string;
  /** A directory in which a copy is prepared. */
  copy(): string;
  /** Was this name made in this pod since the node started? */
  isLocal(name: string): boolean;
}

/**
 * @param random uniform in [0, 1)
 * @param date the wall clock, for people who look into the volume
 */
export function createNamer(random: () => number, date: () => Date): Namer {
  const place = placeOfThisPod();
  const unique = (): string => {
    const digits = (): string =>
      Math.floor(random() * 36 ** 6)
        .toString(36)
        .padStart(6, '0');
    return `${place}_${digits()}${digits()}`;
  };
  return {
    generation() {
      const time = date().toISOString().replace(/[-:]/g, '').replace(/\..*$/, 'Z');
      return `${generationPrefix}${time}_${unique()}`;
    },
    temporary: () => `${temporaryPrefix}${unique()}`,
    copy: () => `${copyPrefix}${unique()}`,
    isLocal: (name) => name.includes(`_${place}_`),
  };
}

/** A name beside others of ours that is the same for each run: `what` is letters, digits, - and _. */
export function temporaryFor(what: string): string {
  return `${temporaryPrefix}${what}`;
}

/** Is it the name of one set of files of ours? Nothing else may stand behind `..data`. */
export function isGeneration(name: string): boolean {
  return /^\.\.initbox_[A-Za-z0-9_-]+$/.test(name);
}

/** Is it something that a run of ours left or is making? */
export function isOurs(name: string): boolean {
  return isGeneration(name) || /^\.\.initbox-tmp_[A-Za-z0-9_-]+$/.test(name);
}

/** Is it the place where some run prepares, or prepared, a copy? */
export function isCopyPlace(name: string): boolean {
  return /^\.\.initbox-copy_[A-Za-z0-9_-]+$/.test(name);
}

/**
 * The network namespace, which a pod's containers share and which lasts as long as the pod, and the node's boot,
 * without which its number says nothing.
 */
function placeOfThisPod(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
    const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? '0';
    return `${boot}-${Number(namespace).toString(36)}`;
  } catch {
    return 'unknown';
  }
}

/**
 * Checks a path below a directory, such as `conf.d/a.yaml`.
 * @throws Error that says what is wrong with it
 */
export function checkRelativePath(path: string): void {
  const refuse = (why: string): never => {
    throw new Error(`${quoted(path)} cannot be a file in the target: ${why}`);
  };
  if (path === '') refuse('it is empty');
  if (path.startsWith('/')) refuse('it is an absolute path');
  if (path.includes('\0')) refuse('it has a NUL in it');
  for (const part of path.split('/')) {
    if (part === '' || part === '.') refuse('a part of it is empty or "."');
    if (part === '..') refuse('it leaves the target by ".."');
    if (Buffer.byteLength(part) > 255) refuse('a part of it is longer than 255 bytes');
  }
  if (path.startsWith('..')) refuse('names that start with ".." are kept for the volume itself');
}
