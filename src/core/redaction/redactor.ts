import { isReference } from '../template-variables.ts';
import { FoldedTexts } from './folded-texts.ts';
import { KnownTexts } from './known-texts.ts';
import { ShortValues } from './short-values.ts';
import { viewsOf } from './views.ts';

/** A value that nobody may read by accident: printing, logging or serialising it gives a placeholder. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call it only where the value leaves for the place it is meant for. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return mask;
  }

  toJSON(): string {
    return mask;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return mask;
  }
}

/** Stands for a secret in a file that is not read yet. */
export const unreadSecret = new Secret('');

export const mask = '[redacted]';

/** Shorter values are only masked where they stand alone, or every `a` in a log would go. */
const shortestFreely = 4;

/** Knows each secret of this run and takes it, and its usual encodings, out of any text. */
export interface Redactor {
  /**
   * Registers the value and wraps it, in one call, so that no secret exists unregistered. Only a reference that nobody
   * replaced is left in texts.
   */
  secret(value: string): Secret;
  /** Registers bytes, without a copy of them: they must stay as they are. */
  bytes(value: Uint8Array): void;
  redact(text: string): string;
}

/**
 * Takes out of a text: values and the lines of a value (of eight bytes or more), as they are, in a URL or a form, behind
 * backslashes, in quotes, in HTML, in base64 (also as a part of something encoded, and with line ends in it) and in hex
 * (also with colons or blanks between the bytes), and in up to three of these within each other; and whole values with other
 * blanks or line ends in them than they have. Its work is linear in the values, once, and in each text.
 */
export function createRedactor(): Redactor {
  const registered = new Set<string | Uint8Array>();
  const known = new KnownTexts();
  const folded = new FoldedTexts();
  const short = new ShortValues();
  return {
    secret(value) {
      if (!registered.has(value) && !isReference(value)) {
        registered.add(value);
        const inner = value.trim();
        if (inner.length >= shortestFreely) {
          known.add(value);
          folded.add(value);
        } else if (inner !== '') short.add(inner);
      }
      return new Secret(value);
    },
    bytes(value) {
      if (registered.has(value)) return;
      registered.add(value);
      if (value.length < shortestFreely) return;
      known.add(value);
      folded.add(value);
    },
    redact(text) {
      return short.hide(known.empty ? text : hideKnown(text, [known, folded]), mask);
    },
  };
}

function hideKnown(text: string, known: readonly Pick<KnownTexts, 'find'>[]): string {
  const line = Buffer.from(text);
  const places: (readonly [from: number, to: number])[] = [];
  for (const view of viewsOf(line))
    for (const texts of known)
      texts.find(view.bytes, view.length, (from, to) => void places.push(view.place(from, to)));
  if (places.length === 0) return text;
  let hidden = '';
  let [from, to] = [0, 0];
  let shown = 0;
  for (const place of [...places.toSorted(([a], [b]) => a - b), [line.length, line.length] as const]) {
    if (place[0] < to) {
      to = Math.max(to, place[1]);
      continue;
    }
    if (to > from) {
      hidden += line.toString('utf8', shown, from) + mask;
      shown = to;
    }
    [from, to] = place;
  }
  return hidden + line.toString('utf8', shown);
}
