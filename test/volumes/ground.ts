// The ground that an attack is fought on: a volume, and beside it what nobody may touch.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { mountTmpfs } from '../support/faults.ts';
import { temporaryDirectory } from '../support/undo.ts';

/** The volume's owner. */
export const owner = 1000;

/** What contents begin with tells whose they are: of root's secrets, of root's programs, of the attacker, of nobody. */
export const marks = { secret: 'SECRET', program: 'ROOTSU', evil: 'EVILEV', plain: 'PLAIN!' } as const;

/** The time of every file that could be taken for another. */
export const time = new Date('2025-01-02T03:04:05Z');

export interface Ground extends Disposable {
  /** The volume: of the attacker, and emptied before each round. */
  readonly volume: string;
  /** Root's, beside it on the same file system; nothing in it may change. */
  readonly outside: string;
  /** Root's files that are copied onto the volume. */
  readonly source: string;
  /** An empty folder of root's that the volume is copied to, emptied before each round. */
  readonly taken: string;
  /** A folder on a disk for specifications and archives. */
  readonly disk: string;
  /** Everything outside, as text: to be compared. */
  state(): string;
  empty(): void;
}

export function put(path: string, mark: string, mode: number, uid = 0, size = 64): void {
  writeFileSync(path, mark.repeat(Math.ceil(size / mark.length)).slice(0, size));
  chownSync(path, uid, uid);
  chmodSync(path, mode);
  utimesSync(path, time, time);
}

/** A tree of root's: a secret, a set-user-ID program, plain files, folders of both kinds, at three depths. */
function fill(top: string): void {
  for (const folder of ['', 'd0', 'd0/d1']) {
    mkdirSync(join(top, folder), { recursive: true });
    put(join(top, folder, 'secret'), marks.secret, 0o600);
    put(join(top, folder, 'su'), marks.program, 0o4755);
    for (let i = 0; i < 6; i++) put(join(top, folder, `f${i}`), marks.plain, 0o644);
  }
  mkdirSync(join(top, 'closed'), { mode: 0o700 });
  put(join(top, 'closed/secret'), marks.secret, 0o600);
  put(join(top, 'large'), marks.plain, 0o644, 0, (4 << 20) + 64);
}

export function makeGround(): Ground {
  const mounted = mountTmpfs({ size: '512m', mode: 0o755 });
  const disk = temporaryDirectory('attack');
  const path = (name: string) => join(mounted.path, name);
  const [volume, outside, source, taken] = ['volume', 'outside', 'source', 'taken'].map(path) as [
    string,
    string,
    string,
    string,
  ];
  for (const folder of [volume, outside, source, taken]) mkdirSync(folder);
  chownSync(volume, owner, owner);
  fill(outside);
  fill(source);
  return {
    volume,
    outside,
    source,
    taken,
    disk: disk.path,
    state: () => `${stateOf(outside)}\n${stateOf(source)}\n${readdirSync(mounted.path).join(' ')}`,
    empty() {
      execFileSync('find', [volume, taken, '-xdev', '-mindepth', '1', '-delete']);
      chownSync(volume, owner, owner);
      chmodSync(volume, 0o755);
      chownSync(taken, 0, 0);
      chmodSync(taken, 0o755);
    },
    [Symbol.dispose]() {
      mounted.remove();
      disk.remove();
    },
  };
}

/** Type, owner, mode, size, time and content of all that is there. */
function stateOf(top: string): string {
  const list = execFileSync('find', [top, '-printf', '%P %y %U:%G %m %T@ %l\n'], { encoding: 'latin1' });
  const sums = readdirSync(top, { recursive: true, encoding: 'utf8' })
    .filter((name) => lstatSync(join(top, name)).isFile())
    .map(
      (name) =>
        `${name} ${createHash('sha1')
          .update(readFileSync(join(top, name)))
          .digest('hex')}`,
    );
  return [...list.split('\n'), ...sums].toSorted().join('\n');
}

/** What may stand where an attack was, beside what is never right. */
export interface Allowed {
  /** True where whoever gave the command asked for files of root with anybody's content. */
  readonly anyContentOfRoot?: boolean;
}

/**
 * What is wrong below a folder: a set-ID file of root, or a file of root at all, whose content is not root's; a secret that
 * somebody else could read.
 */
export function wrongIn(top: string, allowed: Allowed = {}): string[] {
  const wrong: string[] = [];
  const found = execFileSync('find', [top, '-xdev', '-type', 'f', '-print0'], { encoding: 'latin1' });
  for (const path of found.split('\0').filter(Boolean)) {
    const fd = openSync(Buffer.from(path, 'latin1'), 'r');
    try {
      const { uid, gid, mode } = fstatSync(fd);
      const start = Buffer.alloc(6);
      readSync(fd, start);
      const text = start.toString('latin1');
      const said = `${path} ${uid}:${gid} ${(mode & 0o7777).toString(8)} ${JSON.stringify(text)}`;
      const setId = (mode & 0o4000) !== 0 ? uid === 0 : (mode & 0o2010) === 0o2010 && gid === 0;
      if (setId && text !== marks.program) wrong.push(`set-ID of root: ${said}`);
      else if (uid === 0 && text === marks.evil && !allowed.anyContentOfRoot) wrong.push(`root's: ${said}`);
      if (text === marks.secret && (uid !== 0 || (mode & 0o077) !== 0)) wrong.push(`readable: ${said}`);
    } finally {
      closeSync(fd);
    }
  }
  return wrong;
}
