import { BrokenArchive } from '../archive/entry.ts';

/** Sizes in a delta are numbers of seven bits a byte, the lowest first (gitformat-pack(5), "Deltified representation"). */
function sizeAt(delta: Uint8Array, start: number): { readonly size: number; readonly next: number } {
  let size = 0;
  let scale = 1;
  for (let at = start; at < delta.length && at < start + 8; at++, scale *= 128) {
    const byte = delta[at] as number;
    size += (byte & 0x7f) * scale;
    if ((byte & 0x80) === 0) return { size, next: at + 1 };
  }
  throw new BrokenArchive(damaged);
}

/** How large the object is that a delta makes, as it says. @throws BrokenArchive */
export function resultSizeOf(delta: Uint8Array): number {
  return sizeAt(delta, sizeAt(delta, 0).next).size;
}

/** The object that a delta makes of another one. @throws BrokenArchive */
export function applyDelta(base: Uint8Array, delta: Uint8Array): Buffer {
  const from = sizeAt(delta, 0);
  const to = sizeAt(delta, from.next);
  if (from.size !== base.length) throw new BrokenArchive(damaged);
  const result = Buffer.allocUnsafeSlow(to.size);
  let written = 0;
  for (let at = to.next; at < delta.length;) {
    const command = delta[at++] as number;
    let part: Uint8Array;
    if ((command & 0x80) !== 0) {
      let offset = 0;
      let size = 0;
      for (let byte = 0; byte < 4; byte++)
        if ((command & (1 << byte)) !== 0) offset += (delta[at++] ?? Number.NaN) * 2 ** (8 * byte);
      for (let byte = 0; byte < 3; byte++)
        if ((command & (0x10 << byte)) !== 0) size += (delta[at++] ?? Number.NaN) * 2 ** (8 * byte);
      if (size === 0) size = 0x10000;
      if (!(offset + size <= base.length)) throw new BrokenArchive(damaged);
      part = base.subarray(offset, offset + size);
    } else {
      if (command === 0 || at + command > delta.length) throw new BrokenArchive(damaged);
      part = delta.subarray(at, at + command);
      at += command;
    }
    if (written + part.length > to.size) throw new BrokenArchive(damaged);
    result.set(part, written);
    written += part.length;
  }
  if (written !== to.size) throw new BrokenArchive(damaged);
  return result;
}

const damaged = 'is damaged: it has a delta that is not valid';
