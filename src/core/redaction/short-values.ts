/**
 * Values of up to three characters, in all of their usual forms. They are only hidden where they stand alone as a word, or
 * every `a` in a log would go.
 */
export class ShortValues {
  readonly #forms = new Set<string>();
  readonly #firsts = new Set<string>();
  #longest = 0;

  add(value: string): void {
    const bytes = Buffer.from(value);
    const base64 = bytes.toString('base64');
    for (const form of [
      value,
      encodeURIComponent(value.toWellFormed()),
      encodeURI(value.toWellFormed()),
      JSON.stringify(value).slice(1, -1),
      base64,
      base64.replace(/=+$/, ''),
      bytes.toString('base64url'),
      bytes.toString('hex'),
    ]) {
      this.#forms.add(form);
      this.#firsts.add(form.charAt(0));
      this.#longest = Math.max(this.#longest, form.length);
    }
  }

  hide(text: string, mask: string): string {
    if (this.#forms.size === 0) return text;
    let hidden = '';
    let shown = 0;
    for (let at = 0; at < text.length;) {
      const end = this.#endAt(text, at);
      if (end === undefined) at++;
      else {
        hidden += text.slice(shown, at) + mask;
        shown = at = end;
      }
    }
    return hidden + text.slice(shown);
  }

  /** Where the longest form that begins at a place ends. */
  #endAt(text: string, at: number): number | undefined {
    if (!this.#firsts.has(text.charAt(at)) || isWord(codePointBefore(text, at))) return undefined;
    for (let end = Math.min(text.length, at + this.#longest); end > at; end--)
      if (this.#forms.has(text.slice(at, end)) && !isWord(text.codePointAt(end))) return end;
    return undefined;
  }
}

function codePointBefore(text: string, at: number): number | undefined {
  if (at === 0) return undefined;
  const last = text.charCodeAt(at - 1);
  // The second half of a surrogate pair.
  return last >= 0xdc00 && last <= 0xdfff && at > 1 ? text.codePointAt(at - 2) : last;
}

function isWord(codePoint: number | undefined): boolean {
  return codePoint !== undefined && /[\p{L}\p{N}_]/u.test(String.fromCodePoint(codePoint));
}
