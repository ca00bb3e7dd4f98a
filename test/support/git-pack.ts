// Packs of Git as nobody's Git makes them, and a server's answers around them (gitformat-pack(5), gitprotocol-v2(5)).
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { deflateSync } from 'node:zlib';

export const objectTypes = { commit: 1, tree: 2, blob: 3, tag: 4 } as const;
export type ObjectType = keyof typeof objectTypes;

export interface PackObject {
  readonly type: ObjectType;
  readonly bytes: Buffer;
  readonly hash: string;
}

export function objectOf(type: ObjectType, content: string | Uint8Array): PackObject {
  const bytes = Buffer.from(content as Uint8Array);
  const hash = createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');
  return { type, bytes, hash };
}

/** A tree of `MODE NAME` and what each is. */
export function treeOf(entries: readonly (readonly [entry: string, hash: string])[]): PackObject {
  return objectOf(
    'tree',
    Buffer.concat(
      entries.map(([entry, hash]) =>
        Buffer.concat([Buffer.from(`${entry}\0`, 'latin1'), Buffer.from(hash, 'hex')]),
      ),
    ),
  );
}

export function commitOf(tree: PackObject): PackObject {
  const who = 'A <a@example.org> 1767225600 +0000';
  return objectOf('commit', `tree ${tree.hash}\nauthor ${who}\ncommitter ${who}\n\nof a test\n`);
}

/** Type and size, seven bits a byte. */
export function headOf(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size & 15)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(rest % 128);
  }
  return Buffer.from(bytes);
}

/** An object as it stands in a pack. */
export function packed({ type, bytes }: PackObject): Buffer {
  return Buffer.concat([headOf(objectTypes[type], bytes.length), deflateSync(bytes)]);
}

/** A delta of the object with a hash (type 7). */
export function hashDelta(base: string, delta: Buffer): Buffer {
  return Buffer.concat([headOf(7, delta.length), Buffer.from(base, 'hex'), deflateSync(delta)]);
}

/** A delta's size. */
export function sizeIn(size: number): Buffer {
  const bytes: number[] = [];
  let rest = size;
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** Copies all of a base of so many bytes (fewer than 2^24), so many times. */
export function copies(base: number, times: number): Buffer {
  const copy = Buffer.from([0xf0, base & 255, (base >> 8) & 255, (base >> 16) & 255]);
  return Buffer.concat([sizeIn(base), sizeIn(base * times), ...Array.from({ length: times }, () => copy)]);
}

/** @param count of its objects, as it says */
export function packOf(objects: readonly Buffer[], count = objects.length): Buffer {
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  head.writeUInt32BE(count, 8);
  const all = Buffer.concat([head, ...objects]);
  return Buffer.concat([all, createHash('sha1').update(all).digest()]);
}

export function packet(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content as Uint8Array);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

/** The answer to a fetch. */
export function packAnswer(pack: Uint8Array): Buffer {
  const parts: Buffer[] = [packet('packfile\n')];
  for (let at = 0; at < pack.length; at += 65_000)
    parts.push(packet(Buffer.concat([Buffer.from([1]), pack.subarray(at, at + 65_000)])));
  return Buffer.concat([...parts, Buffer.from('0000')]);
}

const advertisement = Buffer.concat([
  packet('# service=git-upload-pack\n'),
  Buffer.from('0000'),
  packet('version 2\n'),
  packet('ls-refs\n'),
  packet('fetch=shallow\n'),
  Buffer.from('0000'),
]);

/** Answers as a server whose one branch is at a commit, and whose answer to a fetch is this. */
export function answering(
  commit: string,
  fetched: Uint8Array,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    if (request.method === 'GET') {
      response.setHeader('Content-Type', 'application/x-git-upload-pack-advertisement').end(advertisement);
      return true;
    }
    const parts: Buffer[] = [];
    request.on('data', (bytes: Buffer) => parts.push(bytes));
    request.on('end', () => {
      response.setHeader('Content-Type', 'application/x-git-upload-pack-result');
      const lists = Buffer.concat(parts).includes('command=ls-refs');
      response.end(
        lists
          ? Buffer.concat([
              packet(`${commit} HEAD\n`),
              packet(`${commit} refs/heads/main\n`),
              Buffer.from('0000'),
            ])
          : fetched,
      );
    });
    return true;
  };
}
