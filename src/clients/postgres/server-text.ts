import { formatBytes } from '../../core/size.ts';

/**
 * Bytes of all fields of an error or a notice that are looked through for secrets. A secret may lie anywhere in a text,
 * so nothing of a longer one is shown: to look through 16 KiB takes less than 50 ms of one processor, whatever is in it.
 */
const mostRedacted = 16 * 1024;

/** Characters of a field that are shown. */
const mostShown = 2000;

/** Fields for people (https://www.postgresql.org/docs/current/protocol-error-fields.html): M, D, H, W. */
const forPeople: ReadonlySet<number> = new Set([0x4d, 0x44, 0x48, 0x57]);
const sqlState = 0x43; // C

const header = 5;

export type Redact = (text: string) => string;

/**
 * Shortens an error or a notice that is well-formed, before anybody reads it: what a server says ends up in log lines
 * and in the termination message.
 * @returns undefined where it is short as it is
 */
export function shortReport(bytes: Buffer, start: number, end: number, redact: Redact): Buffer | undefined {
  const fields: { readonly code: number; readonly from: number; readonly to: number }[] = [];
  let longest = 0;
  for (let at = start + header; bytes[at] !== 0;) {
    const to = bytes.indexOf(0, at + 1);
    fields.push({ code: bytes[at] as number, from: at + 1, to });
    longest = Math.max(longest, to - at - 1);
    at = to + 1;
  }
  if (longest <= mostShown && end - start <= mostRedacted) return undefined;
  let left = mostRedacted;
  const withheld = new Set<number>();
  const parts: Buffer[] = [Buffer.from([bytes[start] as number, 0, 0, 0, 0])];
  for (const { code, from, to } of fields) {
    const length = to - from;
    let value: Buffer | undefined = bytes.subarray(from, to);
    if (code === sqlState) {
      // Five characters, as the protocol has it.
    } else if (length > left) {
      value =
        forPeople.has(code) && !withheld.has(code)
          ? Buffer.from(
              `(a text of ${formatBytes(length)} by the server, which is not shown: up to ${formatBytes(mostRedacted)} are looked through for secrets)`,
            )
          : undefined;
      withheld.add(code);
    } else {
      left -= length;
      if (length > mostShown) value = Buffer.from(cut(redact(value.toString())));
    }
    if (value !== undefined) parts.push(Buffer.from([code]), value, Buffer.from([0]));
  }
  parts.push(Buffer.from([0]));
  const short = Buffer.concat(parts);
  short.writeUInt32BE(short.length - 1, 1);
  return short;
}

function cut(text: string): string {
  return text.length > mostShown ? `${text.slice(0, mostShown).toWellFormed()}…` : text;
}
