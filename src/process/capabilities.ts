import { readFileSync } from 'node:fs';

/** Bits of a capability set (capabilities(7), linux/capability.h). */
const bits = { CHOWN: 0n, DAC_OVERRIDE: 1n, DAC_READ_SEARCH: 2n, FOWNER: 3n } as const;
export type Capability = keyof typeof bits;

/** The capabilities in force in this process; undefined without /proc. */
export function effectiveCapabilities(
  status = '/proc/self/status',
): ((capability: Capability) => boolean) | undefined {
  try {
    const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(status, 'latin1'));
    if (match === null) return undefined;
    const set = BigInt(`0x${match[1]}`);
    return (capability) => ((set >> bits[capability]) & 1n) === 1n;
  } catch {
    return undefined;
  }
}

/** The bits that this process takes from the mode of whatever it makes; all of them without /proc, so that none is trusted. */
export function fileModeMask(status = '/proc/self/status'): number {
  try {
    const match = /^Umask:\s*([0-7]+)$/m.exec(readFileSync(status, 'latin1'));
    return match === null ? 0o777 : Number.parseInt(match[1] ?? '', 8);
  } catch {
    return 0o777;
  }
}

/** The groups of this process, the one of new files and the supplementary ones (fsGroup among them); empty without /proc. */
export function ownGroups(status = '/proc/self/status'): ReadonlySet<number> {
  try {
    const text = readFileSync(status, 'latin1');
    const [, , effective = ''] = /^Gid:\s*(\d+)\s+(\d+)/m.exec(text) ?? [];
    const [, more = ''] = /^Groups:[ \t]*(.*)$/m.exec(text) ?? [];
    return new Set(`${effective} ${more}`.split(/\s+/).filter(Boolean).map(Number));
  } catch {
    return new Set();
  }
}
