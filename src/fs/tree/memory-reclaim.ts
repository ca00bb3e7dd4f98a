import type { Host } from '../../core/host.ts';

/** Bytes that are kept free: more than the inodes, of two file systems, that are looked at between two turns. */
const room = 2 << 20;

/** Looks at the clock between two turns: 32 entries each. */
const turn = 16;

/** Beyond this limit a container has page cache to spare, which the kernel drops first. */
const enough = 512 << 20;

const page = 4096;

/**
 * Keeps a large walk from being killed under a small memory limit. The kernel charges the inodes that it reads to
 * whoever looks at them, and while it makes one (GFP_NOFS) it may drop no others for it: where the limit is met just
 * there, it kills, although nearly all that is charged could be given back. Fresh pages of a process have no such ban.
 * So some are touched now and then, for which old inodes go, and let go again (MADV_FREE): room for the next ones.
 */
export class Headroom {
  readonly #pages: ArrayBuffer | undefined;
  #left = turn;

  constructor(host: Pick<Host, 'memoryLimit'>) {
    const limit = host.memoryLimit();
    if (limit !== undefined && limit < enough) this.#pages = new ArrayBuffer(0, { maxByteLength: room });
  }

  /** To be called at every look at the clock. */
  keep(): void {
    if (this.#pages === undefined || --this.#left > 0) return;
    this.#left = turn;
    this.#pages.resize(room);
    const bytes = new Uint8Array(this.#pages);
    for (let at = 0; at < room; at += page) bytes[at] = 1;
    this.#pages.resize(0);
  }
}
