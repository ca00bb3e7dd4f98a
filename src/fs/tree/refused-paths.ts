import { closeSync } from 'node:fs';

import { type Libc, openLibc } from '../../process/libc.ts';
import { pathOf, type RawName } from '../directory/file-name.ts';
import { mountId, mountWithOthersBelow } from '../directory/mounts.ts';
import { asDirectory, asPinned, openDirectory, openPinned } from '../directory/open-directory.ts';

/**
 * Opens entries of the current directory where they are on one mount. Each is judged by its own descriptor: what its name
 * led to before or leads to later does not matter.
 */
export class MountGuard {
  readonly #mount: number;
  readonly #libc: Libc | undefined;

  /** @param libc where it is at hand, the kernel itself refuses the crossing, which takes a third of the time */
  constructor(mount: number, libc: Libc | undefined) {
    this.#mount = mount;
    this.#libc = libc;
  }

  /** Undefined where it is on another mount. @throws as openDirectory does */
  directory(raw: RawName): number | undefined {
    return this.#open(raw, asDirectory, () => openDirectory(raw));
  }

  /** Pins it, whatever it is; undefined where it is on another mount. @throws as openPinned does */
  pinned(raw: RawName): number | undefined {
    return this.#open(raw, asPinned, () => openPinned(pathOf(raw)));
  }

  /** Whether an open entry is on the mount. */
  holds(descriptor: number): boolean {
    return mountId(descriptor) === this.#mount;
  }

  #open(raw: RawName, flags: number, plain: () => number): number | undefined {
    const opened = this.#libc?.openOnMount(Buffer.from(`${raw}\0`, 'latin1'), flags) ?? -1;
    if (opened >= 0) return opened;
    // A crossing, an error, or a kernel or seccomp profile without the call: this tells which, and no less surely.
    const descriptor = plain();
    if (this.holds(descriptor)) return descriptor;
    closeSync(descriptor);
    return undefined;
  }
}

/** The library for a walk's guard, loaded only where there is something to guard against. */
export async function libcForGuard(top: number): Promise<Libc | undefined> {
  return mountWithOthersBelow(top) === undefined ? undefined : await openLibc();
}
