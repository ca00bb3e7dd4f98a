/**
 * What a client of git-upload-pack says and is told: version 2 (gitprotocol-v2(5)), and of servers that know no other the
 * one before (gitprotocol-pack(5)).
 */
import { isFullHash } from '../../config/source.ts';
import {
  delimiterPacket,
  flushPacket,
  lineIn,
  NotGit,
  type Packet,
  packetOf,
  PacketReader,
} from './packet-line.ts';

export type HashName = 'sha1' | 'sha256';

/** What a server says of itself, and in the old version of all that it has. */
export interface Advertisement {
  readonly version: 0 | 2;
  readonly capabilities: ReadonlyMap<string, string>;
  readonly hash: HashName;
  /** Undefined in version 2, where they are asked for. */
  readonly refs: readonly Ref[] | undefined;
}

/** A branch, a tag or HEAD. */
export interface Ref {
  readonly name: string;
  readonly hash: string;
  /** The commit that a tag of its own (an annotated one) is for. */
  readonly peeled?: string;
}

/** What the server says instead of what was asked for, in its own words. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  /** Whether it had begun with what was asked for. */
  readonly midway: boolean;

  constructor(message: string, midway = false) {
    super(message);
    this.midway = midway;
  }
}

const agent = 'agent=initbox';

/** @throws NotGit, RemoteError */
export function readAdvertisement(all: readonly Packet[]): Advertisement {
  const begin = lineIn(all[0])?.startsWith('# service=') === true ? 1 : 0;
  const packets = all.slice(begin).filter((packet) => packet !== 'flush');
  const first = lineIn(packets[0]);
  if (first === undefined) throw new NotGit('sent an empty answer');
  refuseError(first);
  if (first === 'version 2') {
    const capabilities = capabilitiesIn(packets.slice(1).map((packet) => lineIn(packet) ?? ''));
    return { version: 2, capabilities, hash: hashOf(capabilities), refs: undefined };
  }
  const lines = (first === 'version 1' ? packets.slice(1) : packets).map((packet) => lineIn(packet) ?? '');
  const [head = '', list = ''] = (lines[0] ?? '').split('\0');
  const capabilities = capabilitiesIn(list.split(' '));
  const refs: Ref[] = [];
  for (const line of [head, ...lines.slice(1)]) {
    refuseError(line);
    if (line.startsWith('shallow ')) continue;
    const [, hash, name] = /^([0-9a-f]{40}|[0-9a-f]{64}) (.+)$/.exec(line) ?? [];
    if (hash === undefined || name === undefined)
      throw new NotGit('sent a list of branches and tags that cannot be read');
    const before = refs.at(-1);
    // The name that an empty repository has in place of one.
    if (name === 'capabilities^{}') continue;
    if (name.endsWith('^{}') && before?.name === name.slice(0, -3))
      refs[refs.length - 1] = { ...before, peeled: hash };
    else refs.push({ name, hash });
  }
  return { version: 0, capabilities, hash: hashOf(capabilities), refs };
}

function capabilitiesIn(list: readonly string[]): Map<string, string> {
  return new Map(
    list
      .filter((entry) => entry !== '')
      .map((entry) => {
        const equals = entry.indexOf('=');
        return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
      }),
  );
}

function hashOf(capabilities: ReadonlyMap<string, string>): HashName {
  const name = capabilities.get('object-format') ?? 'sha1';
  if (name !== 'sha1' && name !== 'sha256')
    throw new NotGit('names its objects by something other than SHA-1 or SHA-256');
  return name;
}

function refuseError(line: string): void {
  if (line.startsWith('ERR ')) throw new RemoteError(line.slice(4));
}

/** The names under which a ref may be meant, the first of them first, as `git clone --branch` takes them. */
export function candidatesFor(ref: string | undefined): readonly string[] {
  if (ref === undefined) return ['HEAD'];
  return ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
}

/** Asks for the refs that may be meant (version 2). */
export function lsRefsRequest({ hash }: Advertisement, ref: string | undefined): string {
  return [
    packetOf('command=ls-refs\n'),
    packetOf(`${agent}\n`),
    packetOf(`object-format=${hash}\n`),
    delimiterPacket,
    packetOf('peel\n'),
    ...candidatesFor(ref).map((name) => packetOf(`ref-prefix ${name}\n`)),
    flushPacket,
  ].join('');
}

/** @throws NotGit, RemoteError */
export function readRefs(packets: readonly Packet[]): Ref[] {
  const refs: Ref[] = [];
  for (const packet of packets) {
    const line = lineIn(packet);
    if (line === undefined) continue;
    refuseError(line);
    const [, hash, name, attributes = ''] = /^([0-9a-f]+|unborn) (\S+)(.*)$/.exec(line) ?? [];
    if (hash === undefined || name === undefined)
      throw new NotGit('sent a list of branches and tags that cannot be read');
    const [, peeled] = / peeled:([0-9a-f]+)/.exec(attributes) ?? [];
    if (isFullHash(hash)) refs.push({ name, hash, ...(peeled === undefined ? {} : { peeled }) });
  }
  return refs;
}

/** The hash of what a ref names; undefined where there is no such ref. */
export function pickRef(refs: readonly Ref[], ref: string | undefined): string | undefined {
  for (const candidate of candidatesFor(ref)) {
    const found = refs.find(({ name }) => name === candidate);
    if (found !== undefined) return found.peeled ?? found.hash;
  }
  return undefined;
}

/** What the server lacks for a fetch of one commit without its history; undefined where it lacks nothing. */
export function lacking({ version, capabilities }: Advertisement): string | undefined {
  if (version === 2) {
    const fetching = capabilities.get('fetch');
    if (fetching === undefined) return 'fetch';
    return fetching.split(' ').includes('shallow') ? undefined : 'shallow';
  }
  return ['shallow', 'side-band-64k'].find((name) => !capabilities.has(name));
}

/** Whether the server gives whatever object is asked for by its hash, and not the tips of branches and tags alone. */
export function givesByHash({ version, capabilities, refs = [] }: Advertisement, hash: string): boolean {
  if (version === 2 || capabilities.has('allow-any-sha1-in-want')) return true;
  if (capabilities.has('allow-reachable-sha1-in-want')) return true;
  return refs.some((ref) => ref.hash === hash || ref.peeled === hash);
}

/** Asks for one commit and all that it holds. */
export function fetchRequest({ version, hash, capabilities }: Advertisement, commit: string): string {
  if (version === 2)
    return [
      packetOf('command=fetch\n'),
      packetOf(`${agent}\n`),
      packetOf(`object-format=${hash}\n`),
      delimiterPacket,
      packetOf('no-progress\n'),
      packetOf('ofs-delta\n'),
      packetOf(`want ${commit}\n`),
      packetOf('deepen 1\n'),
      packetOf('done\n'),
      flushPacket,
    ].join('');
  const wanted = ['side-band-64k', 'ofs-delta', 'no-progress'].filter((name) => capabilities.has(name));
  if (capabilities.has('object-format')) wanted.push(`object-format=${hash}`);
  return [
    packetOf(`want ${commit} ${[...wanted, agent].join(' ')}\n`),
    packetOf('deepen 1\n'),
    flushPacket,
    packetOf('done\n'),
  ].join('');
}

/** Where the bytes of a pack go. */
export interface PackPlace {
  /** A pack begins; what came before is of no use. */
  start(): void;
  /** The bytes are others once this returns. */
  write(bytes: Uint8Array): void;
}

/** Bands of an answer (gitprotocol-pack(5), "Packfile Data"). */
const packBand = 1;
const errorBand = 3;

/** Takes the answer to a fetch: passes over what comes first, and hands on the pack. */
export class PackAnswer {
  readonly #version: 0 | 2;
  readonly #place: PackPlace;
  readonly #packets: PacketReader;
  #inPack = false;
  #ended = false;

  constructor({ version }: Advertisement, place: PackPlace) {
    this.#version = version;
    this.#place = place;
    this.#packets = new PacketReader((packet) => this.#take(packet));
  }

  /** Whether all of it has come. */
  get isWhole(): boolean {
    return this.#ended;
  }

  /** @throws NotGit, RemoteError, or what the place throws */
  write(bytes: Uint8Array): void {
    this.#packets.write(bytes);
  }

  #take(packet: Packet): void {
    if (this.#ended) {
      if (packet === 'end of response') return;
      throw new NotGit('sent something after the end of the pack');
    }
    if (this.#inPack) return this.#takeOfPack(packet);
    if (!(packet instanceof Buffer)) return;
    const line = lineIn(packet) ?? '';
    refuseError(line);
    const begins = this.#version === 2 ? line === 'packfile' : line === 'NAK' || line.startsWith('ACK ');
    if (begins) {
      this.#inPack = true;
      this.#place.start();
    } else if (!/^(?:shallow-info$|shallow |unshallow |acknowledgments$|NAK$|ready$)/.test(line))
      throw new NotGit('answered with something other than a pack');
  }

  #takeOfPack(packet: Packet): void {
    if (packet === 'flush') {
      this.#ended = true;
      return;
    }
    if (!(packet instanceof Buffer)) throw new NotGit('sent a pack that is cut in parts');
    const [band] = packet;
    if (band === packBand) this.#place.write(packet.subarray(1));
    else if (band === errorBand) throw new RemoteError(packet.toString('utf8', 1).trim(), true);
  }
}
