import { endianness } from 'node:os';
import process from 'node:process';

import { readAt, type Start } from './file-start.ts';

/** A kind of program that a kernel runs: e_machine in elf(5), and whether its header is that of 64 bits. */
interface Kind {
  readonly machine: number;
  readonly wide: boolean;
  /** EI_CLASS, of those architectures whose kernel looks at it. */
  readonly class?: number;
}

const wide = (machine: number): Kind => ({ machine, wide: true });
const narrow = (machine: number): Kind => ({ machine, wide: false });

/** What a kernel of this architecture may run (elf_check_arch, compat_elf_check_arch): the native kind first. */
const kinds: Readonly<Record<string, readonly Kind[]>> = {
  x64: [wide(62), narrow(3), narrow(6)],
  ia32: [narrow(3), narrow(6)],
  arm64: [wide(183), narrow(40)],
  arm: [narrow(40)],
  ppc64: [wide(21), narrow(20)],
  s390x: [
    { ...wide(22), class: 2 },
    { ...narrow(22), class: 1 },
  ],
  riscv64: [
    { ...wide(243), class: 2 },
    { ...narrow(243), class: 1 },
  ],
  loong64: [wide(258)],
};

export function isElf({ bytes }: Start): boolean {
  return bytes.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
}

/** @returns whether the kernel may run it, what it lacks, or the loader that it names */
export type ElfVerdict =
  | { readonly kind: 'foreign' }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'runs'; readonly loader: string | undefined };

/**
 * Judges a file as fs/binfmt_elf.c does (load_elf_binary, load_elf_phdrs): by e_type, e_machine and the table of
 * segments. The kernel looks at no other byte of e_ident than the first four.
 */
export function judgeElf(file: string, start: Start): ElfVerdict {
  const known = kinds[process.arch];
  // Of an architecture that is not known here, the kernel may say.
  if (known === undefined) return { kind: 'runs', loader: undefined };
  const numbers = reader(start.bytes);
  // The kernel reads what is behind the file's end as zeros.
  if (start.size < 20) return { kind: 'damaged' };
  const kind = known.find(
    (one) => one.machine === numbers.short(18) && (one.class === undefined || one.class === start.bytes[4]),
  );
  const type = numbers.short(16);
  if (kind === undefined || (type !== executable && type !== shared)) return { kind: 'foreign' };
  const layout = kind.wide ? wideLayout : narrowLayout;
  const segments = numbers.short(layout.segments);
  const size = segments * layout.segment;
  if (numbers.short(layout.segmentSize) !== layout.segment || size === 0 || size > mostSegments)
    return { kind: 'damaged' };
  const address = (from: Buffer, at: number): number => {
    const { long, word } = reader(from);
    return kind.wide ? long(at) : word(at);
  };
  const table = readAt(file, address(start.bytes, layout.table), size);
  if (table === undefined || table.length < size) return { kind: 'damaged' };
  for (let at = 0; at < size; at += layout.segment) {
    if (reader(table).word(at) !== loaderSegment) continue;
    const length = address(table, at + layout.length);
    if (length < 2 || length > longestPath) return { kind: 'damaged' };
    const path = readAt(file, address(table, at + layout.offset), length);
    if (path === undefined || path.length < length || path[length - 1] !== 0) return { kind: 'damaged' };
    return { kind: 'runs', loader: path.subarray(0, path.indexOf(0)).toString() };
  }
  return { kind: 'runs', loader: undefined };
}

/** ET_EXEC and ET_DYN. */
const executable = 2;
const shared = 3;
/** PT_INTERP. */
const loaderSegment = 3;
/** Bytes of the table of segments (load_elf_phdrs), and of a path (PATH_MAX). */
const mostSegments = 65_536;
const longestPath = 4096;

/** Where the fields stand: of the header, then of an entry of the table of segments. */
const wideLayout = { table: 32, segmentSize: 54, segments: 56, segment: 56, offset: 8, length: 32 } as const;
const narrowLayout = {
  table: 28,
  segmentSize: 42,
  segments: 44,
  segment: 32,
  offset: 4,
  length: 16,
} as const;

/** Numbers as this machine has them. */
function reader(bytes: Buffer): Readonly<Record<'short' | 'word' | 'long', (at: number) => number>> {
  const little = endianness() === 'LE';
  return {
    short: (at) => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)),
    word: (at) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)),
    long: (at) => Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at)),
  };
}
