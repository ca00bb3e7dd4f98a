/**
 * A name as the kernel holds it is bytes. Here it is a string with one character per byte (Latin-1), which costs no
 * Buffer per entry and loses nothing; only what leaves for a system call or for people is turned back.
 */
export type RawName = string;

// oxlint-disable-next-line no-control-regex -- ASCII is what it is about
const beyondAscii = /[^\x00-\x7f]/;

/** What a system call takes: Node encodes strings as UTF-8, so only plain ASCII may go as it is. */
export function pathOf(raw: RawName): string | Buffer {
  return beyondAscii.test(raw) ? Buffer.from(raw, 'latin1') : raw;
}

/** A path from people or a plan as raw bytes. */
export function rawOf(path: string): RawName {
  return beyondAscii.test(path) ? Buffer.from(path).toString('latin1') : path;
}

/** For people and for globs: UTF-8 where it is, U+FFFD where it is not. */
export function shownName(raw: RawName): string {
  return beyondAscii.test(raw) ? Buffer.from(raw, 'latin1').toString() : raw;
}

/** A path below a descriptor: whatever happens to the names above it, it leads into that directory. */
export function below(descriptor: number, raw: RawName): string | Buffer {
  return pathOf(`/proc/self/fd/${descriptor}/${raw}`);
}

/** A path that leads to what a descriptor was opened on, also one opened with O_PATH. */
export function itself(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}
