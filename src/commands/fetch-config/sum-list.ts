import { posix } from 'node:path';

import { withoutByteOrderMark } from '../../core/byte-order-mark.ts';
import { quoted } from '../../core/misplaced-secret.ts';

/** A line of a list of sums. */
interface Line {
  /** From 1. */
  readonly number: number;
  readonly sum: string;
  readonly name: string;
}

/** As sha256sum writes it, with a space for text and a star for binary mode; a backslash before it marks an escaped name. */
const coreutils = /^(\\?)([0-9a-f]{64}) [ *](.+)$/i;

/** As BSD's tools and `sha256sum --tag` write it. */
const bsd = /^SHA256 \((.+)\) = ([0-9a-f]{64})$/i;

const accepted =
  'accepted are lines of sha256sum ("SUM  NAME", "SUM *NAME"), "SHA256 (NAME) = SUM", or one sum alone';

/**
 * The SHA-256 sum that a list has for a file.
 * @param name of the file, without folders
 * @throws Error that says what was found and what is accepted; it follows the list's address
 */
export function sumFor(list: string, name: string): string {
  const text = withoutByteOrderMark(list);
  const [alone] = /^[0-9a-f]{64}$/i.exec(text.trim()) ?? [];
  if (alone !== undefined) return alone.toLowerCase();
  const lines = text.split(/\r?\n/).flatMap(readLine);
  if (lines.length === 0) throw new Error(`has no line with a SHA-256 sum; ${accepted}`);
  const exact = lines.filter((line) => line.name === name || line.name === `./${name}`);
  const found = exact.length > 0 ? exact : lines.filter((line) => posix.basename(line.name) === name);
  const [first] = found;
  if (first === undefined)
    throw new Error(
      `has no sum for ${quoted(name)} among its ${lines.length} line${lines.length === 1 ? '' : 's'} with sums; the name is the last part of the URL`,
    );
  const other = found.find(({ sum }) => sum !== first.sum);
  if (other !== undefined)
    throw new Error(
      `has two sums for ${quoted(name)}, in lines ${first.number} (${JSON.stringify(first.name)}) and ${other.number} (${JSON.stringify(other.name)}); give the right one to --sha256 itself`,
    );
  return first.sum;
}

function readLine(text: string, index: number): Line[] {
  const number = index + 1;
  const [, escaped, sum, name] = coreutils.exec(text) ?? [];
  if (sum !== undefined && name !== undefined)
    return [{ number, sum: sum.toLowerCase(), name: escaped === '' ? name : unescaped(name) }];
  const [, tagged, other] = bsd.exec(text) ?? [];
  return tagged === undefined || other === undefined
    ? []
    : [{ number, sum: other.toLowerCase(), name: tagged }];
}

/** Backslashes, line feeds and carriage returns (sha256sum(1)). */
function unescaped(name: string): string {
  return name.replace(/\\([\\nr])/g, (_, sign: string) => (sign === 'n' ? '\n' : sign === 'r' ? '\r' : '\\'));
}
