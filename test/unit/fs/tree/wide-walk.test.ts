import {
  closeSync,
  constants,
  existsSync,
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

import { given, sideBySide, type Work } from '../../../../src/fs/calls.ts';
import { Pace } from '../../../../src/fs/pace.ts';
import type { Visitor, Where } from '../../../../src/fs/tree/visitor.ts';
import { Walk, type WalkSettings } from '../../../../src/fs/tree/walk.ts';
import type { WideWalk } from '../../../../src/fs/tree/wide-walk.ts';

const host = { chdir: (path: string) => process.chdir(path), memoryLimit: () => undefined };

let top: string;
let descriptor: number;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'initbox-unit-wide-'));
  descriptor = openSync(top, constants.O_RDONLY | constants.O_DIRECTORY);
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(top, { recursive: true, force: true });
});

/** Notes what it is shown, after a call on it. */
class Notes implements Visitor {
  readonly seen: string[] = [];
  readonly failures: string[] = [];
  gone = 0;
  left = 0;
  underWay = 0;
  most = 0;
  onEntry: (path: string) => void = () => {};

  *entry(name: string | Buffer, _stat: unknown, where: Where, raw: string): Work<void> {
    expect(where.calls).toBe(sideBySide);
    this.most = Math.max(this.most, ++this.underWay);
    const stat = yield* given(where.calls.lstat(name));
    this.underWay--;
    this.onEntry(where.relative(raw));
    if (stat !== undefined) this.seen.push(where.relative(raw));
  }
  *leave(_stat: unknown, where: Where): Work<void> {
    const stat = yield* given(where.calls.lstat(where.path()));
    if (stat?.isDirectory() === true) this.seen.push(`${where.relative()}/`);
  }
  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    this.failures.push(`${action} ${path}: ${error.code}`);
    if (error instanceof Fatal) throw error;
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

class Fatal extends Error {}

/** After the first entries, which are done one after the other, where there are any. */
function wide(notes: Notes, settings: Partial<WalkSettings> = {}): WideWalk {
  const walk = new Walk({ top: descriptor, path: top, crossMounts: false, ...settings }, notes, host);
  walk.begin();
  const wider = walk.widen();
  walk.close();
  return wider;
}

async function whole(notes: Notes, settings?: Partial<WalkSettings>): Promise<void> {
  const walk = wide(notes, settings);
  await walk.run();
  expect(walk.isIdle).toBe(true);
  walk.close();
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

function expectOrder(seen: readonly string[]): void {
  for (const path of seen.filter((each) => each.endsWith('/')))
    for (const inner of seen.filter((each) => each !== path && each.startsWith(path)))
      expect(seen.indexOf(inner)).toBeLessThan(seen.indexOf(path));
}

function openHere(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('a wide walk', { timeout: 30_000 }, () => {
  test('shows everything once, many at a time, a directory after what is in it, and leaves nothing open', async () => {
    const made = fill('', 3, 20, 3);
    symlinkSync('/etc', join(top, 'd1/link'));
    const [before, open] = [process.cwd(), openHere()];
    const notes = new Notes();
    await whole(notes);
    expect(notes.failures).toEqual([]);
    expect(notes.seen.toSorted()).toEqual([...made, 'd1/link'].toSorted());
    expectOrder(notes.seen);
    expect(notes.most).toBeGreaterThan(8);
    expect(process.cwd()).toBe(before);
    await expect.poll(openHere, { timeout: 10_000 }).toBe(open);
  });

  test.each([2, 3, 7])('with %i directories open at once, however deep', async (held) => {
    const made: string[] = [];
    for (let i = 0, path = ''; i < 40; i++) {
      for (const name of ['a', 'b']) {
        writeFileSync(join(top, path, name), '');
        made.push(join(path, name));
      }
      path = join(path, 'd');
      mkdirSync(join(top, path, 'beside'), { recursive: true });
      made.push(`${path}/`, `${path}/beside/`);
    }
    const [notes, open] = [new Notes(), openHere()];
    await whole(notes, { held });
    expect(notes.failures).toEqual([]);
    expect(notes.seen.toSorted()).toEqual(made.toSorted());
    expectOrder(notes.seen);
    await expect.poll(openHere, { timeout: 10_000 }).toBe(open);
  });

  test('goes on in the middle of another walk, with its shares', async () => {
    const made = fill('', 3, 5, 3);
    const notes = new Notes();
    const first = new Walk({ top: descriptor, path: top, crossMounts: false }, new Quick(notes), host);
    first.begin();
    const shares = [first.give(), first.give()].filter((share) => share !== undefined);
    for (let i = 0; i < 15; i++) first.run(() => true);
    const walk = first.widen();
    first.close();
    for (const share of shares) walk.take(share);
    await walk.run();
    walk.take({ path: 'd0/nowhere', names: ['x'], directories: [] });
    await walk.run();
    walk.close();
    expect(notes.gone).toBe(1);
    expect(notes.seen.toSorted()).toEqual(made.toSorted());
  });

  test('what is excluded, what is gone, and what becomes a link', async () => {
    fill('', 3, 3, 1);
    const notes = new Notes();
    notes.onEntry = () => {
      if (!existsSync(join(top, 'd1'))) return;
      renameSync(join(top, 'd1'), join(top, 'd2/moved'));
      symlinkSync('/etc', join(top, 'd1'));
    };
    await whole(notes, { exclude: (path) => path === 'd0' });
    expect(notes.left).toBe(1);
    expect(notes.seen).not.toContain('d0/f1');
    expect(notes.seen.some((path) => path.includes('passwd'))).toBe(false);
  });

  test('a directory that is moved away while it is closed is given up, and said', async () => {
    let path = '';
    for (let i = 0; i < 30; i++) {
      path = join(path, 'd');
      mkdirSync(join(top, path));
      mkdirSync(join(top, path, 'e'));
    }
    writeFileSync(join(top, path, 'last'), '');
    const notes = new Notes();
    notes.onEntry = () => {
      renameSync(join(top, 'd'), join(top, 'moved'));
      mkdirSync(join(top, 'd/d'), { recursive: true });
    };
    await whole(notes, { held: 2 });
    // The way back by `..` leads to the same directories, wherever they are.
    expect(notes.failures.every((failure) => failure.startsWith('return to'))).toBe(true);
    expect(notes.seen).toContain(join(path, 'last'));
  });

  test('ends with what the visitor cannot go on from, and closes all', async () => {
    fill('', 3, 20, 2);
    const [notes, open] = [new Notes(), openHere()];
    notes.onEntry = () => {
      throw new Fatal('no more');
    };
    const walk = wide(notes);
    await expect(walk.run()).rejects.toThrow('no more');
    walk.close();
    await expect.poll(openHere, { timeout: 10_000 }).toBe(open);
  });

  test('stops: what is under way ends, and nothing else is begun', async () => {
    const made = fill('', 3, 60, 2);
    const [notes, open] = [new Notes(), openHere()];
    const walk = wide(notes);
    notes.onEntry = () => walk.stop();
    await walk.run();
    walk.close();
    expect(notes.seen.length).toBeGreaterThan(0);
    expect(notes.seen.length).toBeLessThan(made.length);
    await expect.poll(openHere, { timeout: 10_000 }).toBe(open);
  });

  test('is given up: nothing follows on calls that are under way', async () => {
    fill('', 2, 60, 1);
    const notes = new Notes();
    const walk = wide(notes);
    void walk.run();
    await new Promise((resolve) => setImmediate(resolve));
    walk.close();
    const { length } = notes.seen;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(notes.seen.length).toBe(length);
  });
});

/** The same notes, from a walk that does one after the other. */
class Quick implements Visitor {
  readonly #notes: Notes;
  constructor(notes: Notes) {
    this.#notes = notes;
  }
  entry(_name: string | Buffer, _stat: unknown, where: Where, raw: string): void {
    this.#notes.seen.push(where.relative(raw));
  }
  leave(_stat: unknown, where: Where): void {
    this.#notes.seen.push(`${where.relative()}/`);
  }
  failed(path: string, action: string, error: NodeJS.ErrnoException): void {
    this.#notes.failed(path, action, error);
  }
  vanished(): void {
    this.#notes.gone++;
  }
  excluded(): void {}
  crossed(): void {}
}

describe('the pace of a volume', () => {
  const after = (...times: readonly number[]): Pace => {
    const pace = new Pace();
    for (const time of times) pace.note(time);
    return pace;
  };
  const many = (count: number, time: number): number[] => Array.from({ length: count }, () => time);

  test('is slow where most entries take long, from the first or later on', () => {
    expect(after(...many(16, 1)).isSlow).toBe(true);
    expect(after(...many(15, 1)).isSlow).toBe(false);
    expect(after(...many(500, 0.01), ...many(16, 1)).isSlow).toBe(true);
  });

  test('is not slow where a container stands still now and then', () => {
    const pace = after(...Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? 50 : 0.02)));
    expect(pace.isSlow).toBe(false);
    expect(pace.isKnown).toBe(true);
  });

  test('is looked at closely at first, and after each entry that took long', () => {
    expect(after().isOpen).toBe(true);
    expect(after(...many(24, 0.01)).isOpen).toBe(false);
    expect(after(...many(24, 0.01), 1).isOpen).toBe(true);
  });
});
