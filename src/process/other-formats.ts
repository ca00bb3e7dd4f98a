import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import type { Start } from './file-start.ts';

/** Where Linux lists the formats that it was taught, as qemu's (binfmt_misc). */
const folder = '/proc/sys/fs/binfmt_misc';

export interface OtherFormat {
  readonly interpreter: string;
  /** Whether the kernel has it open since it was taught the format: then it need not be here. */
  readonly opened: boolean;
}

/**
 * The format that the kernel was taught and takes this file for (fs/binfmt_misc.c, search_binfmt_handler). A container
 * seldom sees the list: a file that only such a format makes run is then refused, which is loud.
 */
export function otherFormatOf(file: string, start: Start): OtherFormat | undefined {
  try {
    if (readFileSync(join(folder, 'status'), 'latin1').trim() !== 'enabled') return undefined;
    for (const name of readdirSync(folder)) {
      if (name === 'register' || name === 'status') continue;
      const entry = readFileSync(join(folder, name), 'latin1');
      if (entry.startsWith('enabled') && matches(entry, file, start))
        return {
          interpreter: valueOf(entry, 'interpreter') ?? '',
          opened: valueOf(entry, 'flags:')?.includes('F') === true,
        };
    }
  } catch {
    // None are listed.
  }
  return undefined;
}

function matches(entry: string, file: string, { bytes }: Start): boolean {
  const extension = valueOf(entry, 'extension');
  if (extension !== undefined) {
    const name = basename(file);
    return name.includes('.') && name.slice(name.lastIndexOf('.')) === extension;
  }
  const magic = Buffer.from(valueOf(entry, 'magic') ?? '', 'hex');
  const mask = valueOf(entry, 'mask');
  const offset = Number(valueOf(entry, 'offset'));
  const bits = mask === undefined ? undefined : Buffer.from(mask, 'hex');
  return (
    magic.length > 0 &&
    magic.every((byte, at) => (((bytes[offset + at] ?? 0) ^ byte) & (bits?.[at] ?? 0xff)) === 0)
  );
}

function valueOf(entry: string, name: string): string | undefined {
  return entry
    .split('\n')
    .find((line) => line.startsWith(`${name} `))
    ?.slice(name.length + 1);
}
