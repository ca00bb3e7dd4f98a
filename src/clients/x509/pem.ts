/** One block of a text in PEM (RFC 7468), whatever stands around it. */
export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY`. */
  readonly label: string;
  /** Of its first line, counted from 1. */
  readonly line: number;
  /** What stands between its first and its last line. */
  readonly body: string;
}

/** A text that has blocks and is damaged; the message follows the file's name and the line. */
export class PemDamaged extends Error {
  override readonly name = 'PemDamaged';
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** Of a byte order mark, as Latin-1 shows it, only the first line can have one. */
const boundary = /^(?:\u00ef\u00bb\u00bf)?[ \t]*-----(BEGIN|END) ([A-Z0-9 .#]{1,64})-----[ \t]*$/gm;

/**
 * Finds the blocks of a text, and ignores what stands between them: names, comments, what `openssl x509 -text` prints.
 * @throws PemDamaged where one is not closed
 */
export function pemBlocks(bytes: Uint8Array): readonly PemBlock[] {
  // One character a byte: what stands between need not be UTF-8.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const found: PemBlock[] = [];
  let open: { readonly label: string; readonly line: number; readonly from: number } | undefined;
  let [line, counted] = [1, 0];
  for (const match of text.matchAll(boundary)) {
    const [whole, kind, label = ''] = match;
    line += linesIn(text, counted, match.index);
    counted = match.index;
    if (kind === 'BEGIN') {
      if (open !== undefined) throw notClosed(open);
      open = { label, line, from: match.index + whole.length };
    } else if (open !== undefined) {
      if (label !== open.label) throw notClosed(open);
      found.push({ label, line: open.line, body: text.slice(open.from, match.index) });
      open = undefined;
    }
  }
  if (open !== undefined) throw notClosed(open);
  return found;
}

function notClosed({ label, line }: { readonly label: string; readonly line: number }): PemDamaged {
  return new PemDamaged(line, `-----BEGIN ${label}----- has no -----END ${label}-----`);
}

/** Line ends of every kind: `\n`, `\r\n`, `\r`. */
function linesIn(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x0a || (code === 0x0d && text.charCodeAt(at + 1) !== 0x0a)) count++;
  }
  return count;
}

/** The bytes of a block. @throws PemDamaged where it is not base64 */
export function pemBytes({ body, line }: PemBlock): Buffer {
  const digits = body.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(digits)) throw new PemDamaged(line, 'the block is not base64');
  return Buffer.from(digits, 'base64');
}

/** A block as PEM has it: lines of 64 characters (RFC 7468, 2). */
export function writePem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
