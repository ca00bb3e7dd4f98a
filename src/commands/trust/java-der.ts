import { NotDer, readDerList, type DerElement } from '../../clients/x509/der.ts';

/** Why Java may not read a certificate; the message follows a colon. */
export class NotForJava extends Error {
  override readonly name = 'NotForJava';
}

/** Tags beside those of der.ts that Java's reader distinguishes. */
export const javaTags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  null: 0x05,
  objectId: 0x06,
  bmp: 0x1e,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[number]` with parts, and without. */
export const tagged = (number: number): number => 0xa0 | number;
export const primitive = (number: number): number => 0x80 | number;

/** The parts of something, taken one after another, as `sun.security.util.DerValue` reads them. */
export class DerParts {
  readonly #elements: readonly DerElement[];
  readonly #what: string;
  #at = 0;

  /** @param what for the message: `its issuer` @throws NotForJava */
  constructor(bytes: Uint8Array, what: string) {
    this.#what = what;
    this.#elements = read(bytes, what);
  }

  get left(): number {
    return this.#elements.length - this.#at;
  }

  /** @param tag that it must have, where there is only one @throws NotForJava */
  next(tag?: number): DerElement {
    const element = this.#elements[this.#at++];
    if (element === undefined || (tag !== undefined && element.tag !== tag)) throw damaged(this.#what);
    return element;
  }

  /** Undefined where the next one is something else. */
  optional(tag: number): DerElement | undefined {
    const element = this.#elements[this.#at];
    if (element?.tag !== tag) return undefined;
    this.#at++;
    return element;
  }

  /** @throws NotForJava where more follows */
  end(): void {
    if (this.left > 0) throw damaged(this.#what);
  }

  /** The parts of the next element. */
  inside(tag: number): DerParts {
    return new DerParts(this.next(tag).body, this.#what);
  }

  /** All that are left. */
  *rest(tag?: number): Iterable<DerElement> {
    while (this.left > 0) yield this.next(tag);
  }
}

export function damaged(what: string): NotForJava {
  return new NotForJava(`${what} cannot be read`);
}

/** The one element that the bytes are. @throws NotForJava */
export function onlyElement(bytes: Uint8Array, tag: number, what: string): DerElement {
  const parts = new DerParts(bytes, what);
  const element = parts.next(tag);
  parts.end();
  return element;
}

function read(bytes: Uint8Array, what: string): readonly DerElement[] {
  try {
    const elements = readDerList(bytes);
    if (elements.every(isPlain)) return elements;
  } catch (error) {
    if (!(error instanceof NotDer)) throw error;
  }
  throw damaged(what);
}

/** Java knows no tags over 30, and no length in more digits than it needs. */
function isPlain({ tag, body, whole }: DerElement): boolean {
  const digits = body.length < 0x80 ? 0 : Math.ceil((32 - Math.clz32(body.length)) / 8);
  return (tag & 0x1f) !== 0x1f && whole.length - body.length === 2 + digits;
}

/** @throws NotForJava where it is not an object identifier (`ObjectIdentifier.check`) */
export function checkObjectId({ tag, body }: DerElement, what: string): void {
  const isWhole =
    tag === javaTags.objectId && body.length > 0 && body.length <= 128 && ((body.at(-1) ?? 0) & 0x80) === 0;
  const padded = body.some((byte, index) => byte === 0x80 && ((body[index - 1] ?? 0) & 0x80) === 0);
  if (!isWhole || padded) throw damaged(what);
}

/** The bytes of a string of bits, of which the last ones may be unused. @throws NotForJava */
export function bitsOf(
  body: Uint8Array,
  what: string,
): { readonly bytes: Uint8Array; readonly unused: number } {
  const [unused] = body;
  if (unused === undefined || unused > (body.length === 1 ? 0 : 7)) throw damaged(what);
  return { bytes: body.subarray(1), unused };
}

/** A number that Java has room for: four bytes. @throws NotForJava */
export function checkSmallNumber(body: Uint8Array, what: string): void {
  if (body.length === 0 || body.length > 4 || ((body[0] ?? 0) & 0x80) !== 0) throw damaged(what);
}

/** In hex, as the tables have it. */
export function hexOf({ body }: Pick<DerElement, 'body'>): string {
  return Buffer.from(body).toString('hex');
}

/** `2.5.29.17`, for people. */
export function dottedOf({ body }: Pick<DerElement, 'body'>): string {
  const numbers: bigint[] = [];
  let value = 0n;
  for (const byte of body) {
    value = (value << 7n) | BigInt(byte & 0x7f);
    if (byte < 0x80) {
      numbers.push(value);
      value = 0n;
    }
  }
  const [first = 0n, ...others] = numbers;
  const arc = first < 80n ? first / 40n : 2n;
  return [arc, first - arc * 40n, ...others].join('.');
}

/** @throws NotForJava where it is not a name; @returns whether it says nothing */
export function checkName(name: DerElement, what: string): { readonly empty: boolean } {
  if (name.tag !== javaTags.sequence) throw damaged(what);
  const parts = new DerParts(name.body, what);
  const empty = parts.left === 0;
  for (const { body } of parts.rest(javaTags.set)) checkRelativeName(body, what);
  return { empty };
}

function checkRelativeName(body: Uint8Array, what: string): void {
  const attributes = new DerParts(body, what);
  if (attributes.left === 0) throw damaged(what);
  for (const { body: pair } of attributes.rest(javaTags.sequence)) {
    const attribute = new DerParts(pair, what);
    checkObjectId(attribute.next(), what);
    const { tag, body: text } = attribute.next();
    attribute.end();
    if (tag === javaTags.bmp && !isBmp(text)) throw damaged(what);
  }
}

/** UTF-16 without halves of characters that need two (JDK-8310629 and its like refuse those). */
function isBmp(text: Uint8Array): boolean {
  return (
    text.length % 2 === 0 && !text.some((byte, index) => index % 2 === 0 && byte >= 0xd8 && byte <= 0xdf)
  );
}
