import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Visitor } from '../../../../src/fs/tree/visitor.ts';
import { type Share, Walk, type WalkSettings } from '../../../../src/fs/tree/walk.ts';

const host = { chdir: (path: string) => process.chdir(path), memoryLimit: () => undefined };
const never = () => false;

let top: string;
let descriptor: number;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'initbox-unit-walk-'));
  descriptor = openSync(top, constants.O_RDONLY | constants.O_DIRECTORY);
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(top, { recursive: true, force: true });
});

/** Notes what it is shown. */
class Notes implements Visitor {
  readonly seen: string[] = [];
  readonly failures: string[] = [];
  gone = 0;
  left = 0;
  onEntry: (path: string) => void = () => {};

  entry(
    _name: string | Buffer,
    _stat: unknown,
    where: { relative(raw?: string): string },
    raw: string,
  ): void {
    this.seen.push(where.relative(raw));
    this.onEntry(where.relative(raw));
  }
  leave(_stat: unknown, where: { relative(raw?: string): string }): void {
    this.seen.push(`${where.relative()}/`);
  }
  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    this.failures.push(`${action} ${path}: ${error.code}`);
  }
  vanished(): void {
    this.gone++;
  }
  excluded(): void {
    this.left++;
  }
  crossed(): void {
    this.left++;
  }
}

function walk(notes: Notes, settings: Partial<WalkSettings> = {}): Walk {
  return new Walk({ top: descriptor, path: top, crossMounts: false, ...settings }, notes, host);
}

function fill(folder: string, folders: number, files: number, levels: number): string[] {
  const made: string[] = [];
  for (let j = 0; j < files; j++) {
    writeFileSync(join(top, folder, `f${j}`), '');
    made.push(join(folder, `f${j}`));
  }
  for (let i = 0; i < (levels > 0 ? folders : 0); i++) {
    const inner = join(folder, `d${i}`);
    mkdirSync(join(top, inner));
    made.push(`${inner}/`, ...fill(inner, folders, files, levels - 1));
  }
  return made;
}

// Thousands of files are made, on whatever disk there is.
describe('a walk', { timeout: 30_000 }, () => {
  test('shows everything once, a directory after what is in it, and leaves the current directory alone', () => {
    const made = fill('', 3, 3, 3);
    symlinkSync('/etc', join(top, 'd1/link'));
    const before = process.cwd();
    const notes = new Notes();
    const all = walk(notes);
    all.begin();
    expect(process.cwd()).toBe(before);
    all.run(never);
    expect(process.cwd()).toBe(before);
    expect(all.idle).toBe(true);
    expect(notes.seen.toSorted()).toEqual([...made, 'd1/link'].toSorted());
    for (const path of notes.seen.filter((seen) => seen.endsWith('/'))) {
      const inside = notes.seen.filter((seen) => seen !== path && seen.startsWith(path));
      for (const inner of inside) expect(notes.seen.indexOf(inner)).toBeLessThan(notes.seen.indexOf(path));
    }
    all.close();
  });

  test('can be cut anywhere', () => {
    const made = fill('', 3, 70, 2);
    const notes = new Notes();
    const all = walk(notes);
    all.begin();
    let runs = 0;
    for (; !all.idle; runs++) all.run(() => true);
    expect(runs).toBeGreaterThan(20);
    expect(notes.seen.toSorted()).toEqual(made.toSorted());
    all.close();
  });

  test.each([2, 3, 7])('with %i directories open at once, however deep', (held) => {
    let path = '';
    const made: string[] = [];
    for (let level = 0; level < 60; level++) {
      for (const name of ['a', 'z']) {
        mkdirSync(join(top, path, name));
        made.push(`${join(path, name)}/`);
      }
      writeFileSync(join(top, path, 'f'), '');
      made.push(join(path, 'f'));
      path = join(path, 'm');
      mkdirSync(join(top, path));
      made.push(`${path}/`);
    }
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    let most = 0;
    const notes = new Notes();
    notes.onEntry = () => (most = Math.max(most, open()));
    const all = walk(notes, { held });
    all.begin();
    all.run(never);
    expect(notes.failures).toEqual([]);
    expect(notes.seen.toSorted()).toEqual(made.toSorted());
    expect(most - before).toBeLessThanOrEqual(held + 2);
    all.close();
    expect(open()).toBe(before);
  });

  test('shares what it gives away, and nothing twice', () => {
    const made = fill('', 4, 5, 3);
    const [first, second] = [new Notes(), new Notes()];
    const [giver, taker] = [walk(first), walk(second)];
    giver.begin();
    let shares = 0;
    while (!giver.idle || !taker.idle) {
      const share: Share | undefined = giver.give();
      if (share !== undefined) {
        shares++;
        taker.take(structuredClone(share));
      }
      const back = shares % 3 === 0 ? taker.give() : undefined;
      if (back !== undefined) giver.take(back);
      giver.run(() => true);
      taker.run(() => true);
    }
    expect(shares).toBeGreaterThan(5);
    expect(first.seen.length).toBeGreaterThan(10);
    expect(second.seen.length).toBeGreaterThan(10);
    expect([...first.seen, ...second.seen].toSorted()).toEqual(made.toSorted());
    giver.close();
    taker.close();
  });

  test('shares the entries of one large directory', () => {
    const made = fill('', 0, 3000, 0);
    const [first, second] = [new Notes(), new Notes()];
    const [giver, taker] = [walk(first), walk(second)];
    giver.begin();
    for (let share = giver.give(); share !== undefined; share = giver.give()) taker.take(share);
    giver.run(never);
    taker.run(never);
    expect([...first.seen, ...second.seen].toSorted()).toEqual(made.toSorted());
    expect(second.seen.length).toBeGreaterThan(500);
    giver.close();
    taker.close();
  });

  test('a share whose directory is gone, or a link by now, is given up without harm', () => {
    fill('', 2, 2, 1);
    const outside = mkdtempSync(join(tmpdir(), 'initbox-unit-outside-'));
    writeFileSync(join(outside, 'f0'), '');
    renameSync(join(top, 'd0'), join(top, 'moved'));
    symlinkSync(outside, join(top, 'd0'));
    const notes = new Notes();
    const all = walk(notes);
    all.take({ path: 'd0', names: ['f0'], directories: [] });
    all.take({ path: 'nowhere/deep', names: ['f0'], directories: [] });
    all.take({ path: 'd1', names: ['f0', 'none'], directories: ['neither'] });
    all.run(never);
    expect(all.idle).toBe(true);
    // The link itself is an entry like any other.
    expect(notes.seen).toEqual(['d0', 'd1/f0']);
    expect(notes.gone).toBe(3);
    expect(notes.failures).toEqual([]);
    rmSync(outside, { recursive: true });
    all.close();
  });

  test('a directory that is moved away while the walk is in it: its own entries are done, the way back is found', () => {
    fill('', 3, 3, 2);
    const elsewhere = mkdtempSync(join(tmpdir(), 'initbox-unit-elsewhere-'));
    writeFileSync(join(elsewhere, 'bystander'), '');
    const notes = new Notes();
    let moved = false;
    notes.onEntry = (path) => {
      if (moved || !/^d\d\/d\d\//.test(path)) return;
      moved = true;
      renameSync(join(top, path.slice(0, 2)), join(elsewhere, 'taken'));
    };
    const all = walk(notes, { held: 2 });
    all.begin();
    all.run(never);
    expect(moved).toBe(true);
    expect(notes.seen.some((path) => path.includes('bystander'))).toBe(false);
    for (const name of ['f0', 'f1', 'f2']) expect(notes.seen).toContain(name);
    expect(notes.seen.filter((path) => /^d\d\/$/.test(path))).toHaveLength(3);
    rmSync(elsewhere, { recursive: true });
    all.close();
  });

  test('what the visitor throws is told, and the walk goes on', () => {
    fill('', 1, 5, 1);
    const notes = new Notes();
    notes.onEntry = (path) => {
      if (path.endsWith('f2')) throw Object.assign(new Error('no'), { code: 'EPERM' });
      if (path.endsWith('f3')) throw Object.assign(new Error('no'), { code: 'ENOENT' });
    };
    const all = walk(notes);
    all.begin();
    all.run(never);
    expect(notes.failures.toSorted()).toEqual([`change ${top}/d0/f2: EPERM`, `change ${top}/f2: EPERM`]);
    expect(notes.gone).toBe(2);
    expect(all.idle).toBe(true);
    all.close();
  });
});
