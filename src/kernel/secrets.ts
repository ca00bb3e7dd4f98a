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

export const mask = '[redacted]';

/** Shorter values are only masked where they stand alone, or every `a` in a log would go. */
const shortestFreely = 4;

/** Knows each secret of this run and takes it, and its usual encodings, out of any text. */
export interface Redactor {
  /** Registers the value and wraps it, in one call, so that no secret exists unregistered. */
  secret(value: string): Secret;
  redact(text: string): string;
}

export function createRedactor(): Redactor {
  const known = new Set<string>();
  let pattern: RegExp | undefined;
  return {
    secret(value) {
      for (const form of formsOf(value)) {
        known.add(form);
        pattern = undefined;
      }
      return new Secret(value);
    },
    redact(text) {
      if (known.size === 0) return text;
      pattern ??= patternOf(known);
      return text.replace(pattern, mask);
    },
  };
}

/** `://USER:PASSWORD@` in any text. */
const userinfo = /:\/\/[^:@/?#\s]*:([^\s/]+)@/g;

/** Registers the passwords of the URLs in a text, wherever somebody may have put one by mistake. */
export function hidePasswords(text: string, redactor: Redactor): void {
  for (const [, password = ''] of text.matchAll(userinfo)) redactor.secret(password);
}

/** The ways in which a value usually turns up in messages: as it is, in a URL, in JSON, in base64, line by line. */
function formsOf(value: string): string[] {
  if (value === '') return [];
  const bytes = Buffer.from(value);
  const forms = new Set([
    value,
    value.trim(),
    encodeURIComponent(value.toWellFormed()),
    encodeURI(value.toWellFormed()),
    JSON.stringify(value).slice(1, -1),
    bytes.toString('base64'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    ...value.split(/\r?\n/).filter((line) => line.trim().length >= 8),
  ]);
  forms.delete('');
  return [...forms];
}

function patternOf(known: ReadonlySet<string>): RegExp {
  // Longest first: a secret that contains another one must go as a whole.
  const forms = [...known].toSorted((a, b) => b.length - a.length);
  const alternatives = forms.map((form) => {
    const literal = RegExp.escape(form);
    return form.length >= shortestFreely ? literal : `(?<![\\p{L}\\p{N}_])${literal}(?![\\p{L}\\p{N}_])`;
  });
  return new RegExp(alternatives.join('|'), 'gu');
}
