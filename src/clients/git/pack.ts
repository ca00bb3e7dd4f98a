import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { createInflate, inflateSync } from 'node:zlib';

import { reasonOf } from '../../core/clock.ts';
import type { Patience } from '../../core/deadline.ts';
import { formatBytes } from '../../core/size.ts';
import { type ArchiveLimits, BrokenArchive } from '../archive/entry.ts';
import { applyDelta, resultSizeOf } from './delta.ts';
import type { HashName } from './upload-pack.ts';

export type ObjectKind = 'commit' | 'tree' | 'blob' | 'tag';

export interface PackSettings {
  /** Of the pack, in bytes. */
  readonly size: number;
  readonly hash: HashName;
  /** Of all objects together. */
  readonly limits: ArchiveLimits;
  readonly patience: Patience;
  /** Called now and then, so that what was unpacked does not stay in memory. */
  readonly collect: () => void;
}

/** Types of objects in a pack (gitformat-pack(5)). */
const kinds: Readonly<Record<number, ObjectKind>> = { 1: 'commit', 2: 'tree', 3: 'blob', 4: 'tag' };
const offsetDelta = 6;
const hashDelta = 7;

export const hashLengths: Readonly<Record<HashName, number>> = { sha1: 20, sha256: 32 };

/** Objects up to here are unpacked at once, in bytes; larger ones as they are read. */
const small = 1 << 20;

/** The largest object that is made of a delta, or that one is made from: both are in memory. Git makes none of larger files by itself from 512 MiB on. */
const largestOfDelta = 32 << 20;

/** Objects that are kept to make others from, in bytes. */
const kept = 12 << 20;

/** Deltas on deltas: Git itself makes no more (git-pack-objects(1), --depth). */
const deepest = 4095;

/** Bytes that are read at once. */
const windowSize = 1 << 18;

/** Bytes, and objects, between two chances for a signal to be handled. */
const bytesAtOnce = 1 << 20;
const objectsAtOnce = 32;

/** Bytes between two collections, and what unpacking one object takes beside its own. */
const betweenCollections = 16 << 20;
const perObject = 1 << 10;

/** How much more than its limit may be unpacked on the way, objects that are made anew for others included. */
const detours = 8;

/** Bytes of an object as zlib makes them where it compresses nothing, at the most, with its header. */
function mostPacked(size: number): number {
  return size + 5 * (Math.ceil(size / 16_383) + 1) + 64;
}

/**
 * The objects of a pack that lies in a file (gitformat-pack(5)). All of it is looked through once, and the hash of each object is made of
 * its content: what is found by a hash has it.
 */
export class Pack {
  readonly #descriptor: number;
  readonly #settings: PackSettings;
  readonly #hashLength: number;
  /** Where the objects end, and the pack's own hash begins. */
  readonly #end: number;
  #count = 0;
  /** Where each begins, where its packed bytes begin, how large these are unpacked, and of what object it is a delta, or -1. */
  #offsets = new Float64Array(0);
  #data = new Float64Array(0);
  #packedSizes = new Float64Array(0);
  #bases = new Int32Array(0);
  #kinds = new Uint8Array(0);
  #depths = new Uint16Array(0);
  /** Of the whole object. */
  #sizes = new Float64Array(0);
  #hashes = Buffer.alloc(0);
  /** In the order of their hashes. */
  #sorted = new Uint32Array(0);
  readonly #cache = new Map<number, Buffer>();
  #cached = 0;
  /** Bytes of all objects, and of all that was unpacked. */
  #total = 0;
  #work = 0;
  #uncollected = 0;
  #sinceTurn = 0;
  #objectsSinceTurn = 0;
  #window = Buffer.alloc(0);
  #windowAt = 0;

  private constructor(descriptor: number, settings: PackSettings) {
    this.#descriptor = descriptor;
    this.#settings = settings;
    this.#hashLength = hashLengths[settings.hash];
    this.#end = settings.size - this.#hashLength;
  }

  /**
   * Looks through a pack.
   * @throws BrokenArchive, the signal's reason, or the system's error
   */
  static async open(descriptor: number, settings: PackSettings): Promise<Pack> {
    const pack = new Pack(descriptor, settings);
    await pack.#scan();
    return pack;
  }

  /** The object with a hash, in hexadecimal digits; undefined where there is none. */
  find(hash: string): number | undefined {
    const wanted = Buffer.from(hash, 'hex');
    if (wanted.length !== this.#hashLength) return undefined;
    let low = 0;
    let high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const index = this.#sorted[middle] as number;
      const order = this.#compare(index, wanted);
      if (order === 0) return index;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  kindOf(index: number): ObjectKind {
    return kinds[this.#kinds[index] as number] as ObjectKind;
  }

  sizeOf(index: number): number {
    return this.#sizes[index] as number;
  }

  /** An object of no more than so many bytes, as a whole. @throws BrokenArchive */
  async read(index: number, most: number): Promise<Buffer> {
    if (this.sizeOf(index) > most)
      throw new BrokenArchive(`has a ${this.kindOf(index)} larger than ${formatBytes(most)}`);
    if (this.#bases[index] === -1 && this.sizeOf(index) > small) {
      const parts: Buffer[] = [];
      await this.#stream(index, (bytes) => {
        parts.push(Buffer.from(bytes));
      });
      return Buffer.concat(parts);
    }
    await this.#turn(this.sizeOf(index));
    return this.#content(index);
  }

  /** Hands on an object's bytes, in pieces that are others once the call returns or what it returns is done. */
  async pass(index: number, take: (bytes: Uint8Array) => void | Promise<void>): Promise<void> {
    if (this.#bases[index] === -1 && this.sizeOf(index) > small) {
      await this.#stream(index, take);
      return;
    }
    await this.#turn(this.sizeOf(index));
    const bytes = await this.#content(index);
    if (bytes.length > 0) await take(bytes);
  }

  async #scan(): Promise<void> {
    this.#allocate();
    const children = new Children(this.#count);
    const hashDeltas: number[] = [];
    let at = 12;
    for (let index = 0; index < this.#count; index++) {
      const packed = this.#readHead(index, at, hashDeltas);
      if (packed.base >= 0) children.add(packed.base, index);
      at = await this.#measure(index, packed.isDelta);
    }
    if (at !== this.#end) throw new BrokenArchive('is damaged: it has something after its last object');
    await this.#resolve(children, hashDeltas);
    const all = Uint32Array.from({ length: this.#count }, (_, index) => index);
    this.#sorted = all.toSorted((one, other) => this.#hashOf(one).compare(this.#hashOf(other)));
  }

  #allocate(): void {
    const head = this.#bytesAt(0, 12);
    const version = head.length < 12 ? 0 : head.readUInt32BE(4);
    if (head.toString('latin1', 0, 4) !== 'PACK' || (version !== 2 && version !== 3))
      throw new BrokenArchive('is not a pack of Git’s version 2');
    this.#count = head.readUInt32BE(8);
    const { limits } = this.#settings;
    // A commit, tags before it, and the tree at the top stand beside the entries.
    if (this.#count > limits.entries + largestBeside)
      throw new BrokenArchive(
        `has ${this.#count} objects, more than ${limits.entries} (--max-entries)`,
        false,
        '--max-entries raises the limit',
      );
    // An object has a byte and something of zlib, at the least.
    if (this.#count * 9 > this.#settings.size)
      throw new BrokenArchive('is damaged: it is too short for what it has');
    this.#offsets = new Float64Array(this.#count);
    this.#data = new Float64Array(this.#count);
    this.#packedSizes = new Float64Array(this.#count);
    this.#sizes = new Float64Array(this.#count);
    this.#bases = new Int32Array(this.#count).fill(-1);
    this.#kinds = new Uint8Array(this.#count);
    this.#depths = new Uint16Array(this.#count);
    this.#hashes = Buffer.alloc(this.#count * this.#hashLength);
  }

  /** Type, size and base. */
  #readHead(
    index: number,
    at: number,
    hashDeltas: number[],
  ): { readonly base: number; readonly isDelta: boolean } {
    const head = this.#bytesAt(at, longestHead);
    const byte = (place: number): number => {
      const value = head[place];
      if (value === undefined) throw new BrokenArchive(truncated);
      return value;
    };
    let place = 0;
    let bits = byte(place++);
    const type = (bits >> 4) & 7;
    let size = bits & 15;
    for (let scale = 16; (bits & 0x80) !== 0; scale *= 128) {
      bits = byte(place++);
      size += (bits & 0x7f) * scale;
    }
    if (!Number.isSafeInteger(size)) throw new BrokenArchive('is damaged: an object has no possible size');
    let base = -1;
    const isDelta = type === offsetDelta || type === hashDelta;
    if (type === offsetDelta) {
      bits = byte(place++);
      let back = bits & 0x7f;
      while ((bits & 0x80) !== 0) {
        bits = byte(place++);
        back = (back + 1) * 128 + (bits & 0x7f);
      }
      base = this.#indexAt(at - back, index);
    } else if (type === hashDelta) {
      hashDeltas.push(index);
      place += this.#hashLength;
    } else if (kinds[type] === undefined)
      throw new BrokenArchive('is damaged: it has an object of an unknown type');
    this.#offsets[index] = at;
    this.#data[index] = at + place;
    this.#packedSizes[index] = size;
    this.#kinds[index] = type;
    this.#bases[index] = base;
    return { base, isDelta };
  }

  /** The object before the one that is being read that begins at a place. */
  #indexAt(offset: number, before: number): number {
    let low = 0;
    let high = before - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const there = this.#offsets[middle] as number;
      if (there === offset) return middle;
      if (there < offset) low = middle + 1;
      else high = middle - 1;
    }
    throw new BrokenArchive('is damaged: it has a delta of nothing');
  }

  /** Where the object ends; of one that is whole, the hash is made. */
  async #measure(index: number, isDelta: boolean): Promise<number> {
    const size = this.#packedSizes[index] as number;
    const data = this.#data[index] as number;
    if (isDelta) {
      if (size > largestOfDelta) throw tooLargeDelta();
    } else {
      this.#sizes[index] = size;
      this.#add(size);
    }
    await this.#turn(size);
    const hash = isDelta ? undefined : this.#hashBegun(index);
    let end: number;
    if (size <= small) {
      const { bytes, length } = await this.#inflated(index);
      hash?.update(bytes);
      end = data + length;
    } else end = data + (await this.#stream(index, (bytes) => void hash?.update(bytes)));
    hash?.digest().copy(this.#hashes, index * this.#hashLength);
    return end;
  }

  /** The sum over all objects. */
  #add(size: number): void {
    this.#total += size;
    const { bytes } = this.#settings.limits;
    if (this.#total > bytes)
      throw new BrokenArchive(
        `unpacks to more than ${formatBytes(bytes)} (--max-unpacked)`,
        false,
        '--max-unpacked raises the limit',
      );
  }

  #hashBegun(index: number): ReturnType<typeof createHash> {
    return createHash(this.#settings.hash).update(`${this.kindOf(index)} ${this.sizeOf(index)}\0`);
  }

  /** Makes the objects that are deltas, each from what is known, and the hash of each. */
  async #resolve(children: Children, hashDeltas: readonly number[]): Promise<void> {
    const waiting = Map.groupBy(hashDeltas, (index) => {
      const end = this.#data[index] as number;
      return this.#bytesAt(end - this.#hashLength, this.#hashLength).toString('latin1');
    });
    const known = (index: number): void => {
      if (waiting.size === 0) return;
      const hash = this.#hashOf(index).toString('latin1');
      for (const child of waiting.get(hash) ?? []) {
        this.#bases[child] = index;
        children.add(index, child);
      }
      waiting.delete(hash);
    };
    for (let root = 0; root < this.#count; root++) {
      if ((this.#kinds[root] as number) >= offsetDelta || this.#bases[root] !== -1) continue;
      known(root);
      const stack = [root];
      for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
        for (const child of children.of(index)) {
          await this.#make(child, index);
          known(child);
          if (children.has(child)) stack.push(child);
        }
      }
    }
    if (this.#kinds.some((kind) => kind >= offsetDelta))
      throw new BrokenArchive('has a delta of an object that is not in it');
  }

  async #make(index: number, base: number): Promise<void> {
    const depth = (this.#depths[base] as number) + 1;
    if (depth > deepest) throw new BrokenArchive(`has more than ${deepest} deltas on each other`, false);
    this.#depths[index] = depth;
    this.#kinds[index] = this.#kinds[base] as number;
    const bytes = await this.#content(index);
    this.#sizes[index] = bytes.length;
    this.#add(bytes.length);
    this.#hashBegun(index)
      .update(bytes)
      .digest()
      .copy(this.#hashes, index * this.#hashLength);
    await this.#turn(bytes.length);
  }

  /** An object as a whole: of a delta, made from those below it. */
  async #content(index: number): Promise<Buffer> {
    const chain: number[] = [];
    let at = index;
    let bytes = this.#cache.get(at);
    while (bytes === undefined && this.#bases[at] !== -1) {
      chain.push(at);
      at = this.#bases[at] as number;
      bytes = this.#cache.get(at);
    }
    bytes ??= await this.#whole(at, chain.length > 0);
    for (let next = chain.pop(); next !== undefined; next = chain.pop()) {
      const { bytes: delta } = await this.#inflated(next);
      const size = resultSizeOf(delta);
      if (size > largestOfDelta) throw tooLargeDelta();
      this.#spend(size);
      if (size > this.#settings.limits.bytes) this.#add(size);
      bytes = applyDelta(bytes, delta);
      this.#keep(next, bytes);
      await this.#turn(size);
    }
    return bytes;
  }

  async #whole(index: number, isBase: boolean): Promise<Buffer> {
    const size = this.#packedSizes[index] as number;
    if (isBase && size > largestOfDelta) throw tooLargeDelta();
    const { bytes } = await this.#inflated(index);
    if (isBase) this.#keep(index, bytes);
    return bytes;
  }

  /** The last one is kept, whatever its size, and some before it. */
  #keep(index: number, bytes: Buffer): void {
    for (const [other, { length }] of this.#cache) {
      if (this.#cached + bytes.length <= kept) break;
      this.#cache.delete(other);
      this.#cached -= length;
    }
    this.#cache.set(index, bytes);
    this.#cached += bytes.length;
  }

  /** The unpacked bytes of an object, or of its delta, and how many they were. */
  async #inflated(index: number): Promise<{ readonly bytes: Buffer; readonly length: number }> {
    const size = this.#packedSizes[index] as number;
    if (size > small) return this.#inflatedInParts(index, size);
    this.#spend(size);
    const packed = this.#bytesAt(this.#data[index] as number, mostPacked(size));
    try {
      const { buffer, engine } = inflateSync(packed, {
        info: true,
        chunkSize: size + 64,
        maxOutputLength: size + 64,
      }) as unknown as { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } };
      if (buffer.length !== size) throw new BrokenArchive(wrongSize);
      return { bytes: buffer, length: engine.bytesWritten };
    } catch (error) {
      // Packed in a way that makes it longer than zlib does.
      if ((error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR') return this.#inflatedInParts(index, size);
      throw inflateFault(error);
    }
  }

  async #inflatedInParts(
    index: number,
    size: number,
  ): Promise<{ readonly bytes: Buffer; readonly length: number }> {
    const bytes = Buffer.allocUnsafeSlow(size);
    let at = 0;
    const length = await this.#stream(index, (part) => {
      bytes.set(part, at);
      at += part.length;
    });
    return { bytes, length };
  }

  /**
   * Hands on what an object's packed bytes unpack to, as it comes.
   * @returns how many bytes these are
   */
  async #stream(index: number, take: (bytes: Uint8Array) => void | Promise<void>): Promise<number> {
    const size = this.#packedSizes[index] as number;
    this.#spend(size);
    const inflate = createInflate({ chunkSize: windowSize });
    let at = this.#data[index] as number;
    let left = size;
    // Fed by hand: what follows an object is the next one.
    const fed = (async function* (pack: Pack): AsyncGenerator<Buffer> {
      while (at < pack.#settings.size) {
        const bytes = Buffer.from(pack.#bytesAt(at, windowSize));
        at += bytes.length;
        yield bytes;
      }
    })(this);
    const feed = async (): Promise<void> => {
      for await (const bytes of fed) {
        if (inflate.readableEnded || inflate.destroyed) return;
        if (!inflate.write(bytes))
          await new Promise<void>((resolve) => {
            const go = (): void => {
              for (const event of ['drain', 'end', 'close'] as const) inflate.off(event, go);
              resolve();
            };
            for (const event of ['drain', 'end', 'close'] as const) inflate.once(event, go);
          });
      }
      inflate.end();
    };
    const feeding = feed();
    feeding.catch((error: unknown) => inflate.destroy(error as Error));
    try {
      for await (const bytes of inflate as AsyncIterable<Buffer>) {
        left -= bytes.length;
        if (left < 0) throw new BrokenArchive(wrongSize);
        await take(bytes);
        await this.#turn(bytes.length);
      }
    } catch (error) {
      throw inflateFault(error);
    } finally {
      inflate.destroy();
      await feeding.catch(() => {});
    }
    if (left !== 0) throw new BrokenArchive(wrongSize);
    return inflate.bytesWritten;
  }

  #spend(bytes: number): void {
    this.#work += bytes;
    this.#uncollected += bytes + perObject;
    if (this.#work > detours * this.#settings.limits.bytes + kept)
      throw new BrokenArchive('has deltas that take too much work to unpack', false);
  }

  /** Lets signals be handled now and then. @throws the signal's reason */
  async #turn(bytes: number): Promise<void> {
    this.#sinceTurn += bytes;
    this.#objectsSinceTurn++;
    if (this.#sinceTurn < bytesAtOnce && this.#objectsSinceTurn < objectsAtOnce) return;
    this.#sinceTurn = 0;
    this.#objectsSinceTurn = 0;
    const { patience, collect } = this.#settings;
    if (this.#uncollected > betweenCollections) {
      this.#uncollected = 0;
      collect();
    }
    await new Promise((resolve) => setImmediate(resolve));
    if (patience.signal.aborted) throw reasonOf(patience.signal);
    patience.renew();
  }

  #hashOf(index: number): Buffer {
    return this.#hashes.subarray(index * this.#hashLength, (index + 1) * this.#hashLength);
  }

  #compare(index: number, wanted: Buffer): number {
    return this.#hashOf(index).compare(wanted);
  }

  /** Bytes of the pack, fewer at its end. They are others at the next call. */
  #bytesAt(at: number, length: number): Buffer {
    const place = at - this.#windowAt;
    if (place >= 0 && place + length <= this.#window.length)
      return this.#window.subarray(place, place + length);
    const wanted = Math.max(length, windowSize);
    const { buffer: held } = this.#window;
    const buffer = held.byteLength >= wanted ? Buffer.from(held, 0, wanted) : Buffer.allocUnsafeSlow(wanted);
    let read = 0;
    while (read < buffer.length) {
      const count = readSync(this.#descriptor, buffer, read, buffer.length - read, at + read);
      if (count === 0) break;
      read += count;
    }
    this.#window = buffer.subarray(0, read);
    this.#windowAt = at;
    return this.#window.subarray(0, Math.min(length, read));
  }
}

/** Objects that are no entry: a commit, its tree, and tags that lead to it. */
const largestBeside = 16;

/** Of a type, a size and a base, in bytes. */
const longestHead = 64;

const truncated = 'ends in the middle: it is truncated';
const wrongSize = 'is damaged: an object has another size than it says';

function tooLargeDelta(): BrokenArchive {
  return new BrokenArchive(
    `has a delta of more than ${formatBytes(largestOfDelta)}, which initbox does not unpack`,
    false,
  );
}

function inflateFault(error: unknown): unknown {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'ERR_BUFFER_TOO_LARGE') return new BrokenArchive(wrongSize);
  if (code === 'Z_BUF_ERROR') return new BrokenArchive(truncated);
  return code.startsWith('Z_') ? new BrokenArchive(`is damaged (${code})`) : error;
}

/** Which objects are deltas of which. */
class Children {
  readonly #first: Int32Array;
  readonly #next: Int32Array;

  constructor(count: number) {
    this.#first = new Int32Array(count).fill(-1);
    this.#next = new Int32Array(count).fill(-1);
  }

  add(base: number, child: number): void {
    this.#next[child] = this.#first[base] as number;
    this.#first[base] = child;
  }

  has(base: number): boolean {
    return this.#first[base] !== -1;
  }

  *of(base: number): Generator<number> {
    for (let child = this.#first[base] as number; child !== -1; child = this.#next[child] as number)
      yield child;
  }
}
