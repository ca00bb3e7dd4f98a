/**
 * A text that is made piece by piece, in one piece of memory: a function called for each match of an expression, or a text
 * added to another millions of times, takes some hundred bytes for each.
 */
export class TextUnits {
  #units: Uint16Array;
  #length = 0;
  #all = 0;

  /** @param most UTF-16 units that it may have */
  constructor(most: number) {
    this.#units = new Uint16Array(most);
  }

  /** Adds a UTF-16 unit. */
  add(unit: number): void {
    this.#units[this.#length++] = unit;
    this.#all |= unit;
  }

  toString(): string {
    const units = this.#units.subarray(0, this.#length);
    // A text without other characters takes half of the memory.
    if (this.#all <= 0xff) return Buffer.from(units).toString('latin1');
    return Buffer.from(units.buffer, 0, units.byteLength).toString('utf16le');
  }
}

/** Units that are looked through at once: all matches are in memory before the first is replaced. */
const atOnce = 65_536;

/** Replaces each match of an expression that matches one UTF-16 unit, however many there are. */
export function replaceUnits(text: string, pattern: RegExp, replacement: (unit: string) => string): string {
  if (text.length <= atOnce) return text.replace(pattern, replacement);
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += atOnce)
    pieces.push(text.slice(at, at + atOnce).replace(pattern, replacement));
  return pieces.join('');
}
