import type { Dir, Stats } from 'node:fs';

import { type Calls, calls, sideBySide } from '../calls.ts';
import { below, pathOf, type RawName, shownName } from '../directory/file-name.ts';
import type { Where } from './visitor.ts';

/** By the group's bits, which also bound what an ACL gives to named users (acl(5)), or by those of all others. */
const othersWrite = 0o022;

/** A directory of the walk: what is known of it, and what is left to do in it. */
export class Frame implements Where {
  readonly parent: Frame | undefined;
  readonly raw: RawName;
  readonly dev: number;
  readonly ino: number;
  /** Set where it is walked as a whole, and so is left through the visitor. */
  readonly entered: Stats | undefined;
  readonly ofRootAlone: boolean;
  descriptor: number;
  names: readonly RawName[] = [];
  next = 0;
  directories: RawName[] = [];
  stream: Dir | undefined;
  /** Whether reading its listing may take seconds. */
  slowListing = false;
  calls: Calls = calls;
  /** Of a wide walk: what is under way in it, its subdirectories among that. */
  pending = 0;
  /** Of a wide walk: how many need its descriptor now. */
  pins = 0;
  /** Of a wide walk: whether its listing is being read, whether it waits for its turn, whether it is given up. */
  reading = false;
  queued = false;
  lost = false;

  constructor(parent: Frame | undefined, raw: RawName, stat: Stats, descriptor: number, whole: boolean) {
    this.parent = parent;
    this.raw = raw;
    this.dev = stat.dev;
    this.ino = stat.ino;
    this.entered = whole ? stat : undefined;
    this.ofRootAlone = stat.uid === 0 && (stat.mode & othersWrite) === 0;
    this.descriptor = descriptor;
  }

  /** Whether anything is left to do in it. */
  get hasWork(): boolean {
    return this.next < this.names.length || this.directories.length > 0 || this.stream !== undefined;
  }

  relative(raw?: RawName): RawName {
    const parts = raw === undefined ? [] : [raw];
    for (const frame of this.line()) if (frame.parent !== undefined) parts.push(frame.raw);
    return parts.toReversed().join('/');
  }

  /** For people. @param top how they call the top of the walk */
  shown(top: string, raw?: RawName): string {
    const relative = shownName(this.relative(raw));
    return relative === '' ? top : `${top}/${relative}`;
  }

  /** In a narrow walk it is the current directory. */
  path(raw?: RawName): string | Buffer {
    if (this.calls === sideBySide) return below(this.descriptor, raw ?? '.');
    return raw === undefined ? '.' : pathOf(raw);
  }

  /** This directory and those above it, up to the top. */
  *line(): Generator<Frame> {
    let frame: Frame | undefined = this.parent;
    yield this;
    for (; frame !== undefined; frame = frame.parent) yield frame;
  }

  /** Ends the reading of its listing. */
  closeStream(): void {
    try {
      this.stream?.closeSync();
    } catch {
      // closed already
    }
    this.stream = undefined;
  }
}
