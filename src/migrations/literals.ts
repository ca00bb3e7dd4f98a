import { afterComment, afterEscaped, afterQuoted, dollarTag, identifier } from './split.ts';

interface Span {
  readonly from: number;
  readonly to: number;
}

/** What a literal or a comment can begin with, and words, since a `$` in a word begins nothing. */
const opening = /['"$]|--|\/\*|[A-Za-z_\x80-\xff]+/g;

/**
 * Tells what surely stands inside a string, a quoted name or a dollar-quoted body. From the first place on where that
 * depends on the server's settings, or where a quote is never closed, nothing does.
 * @param text as Latin-1
 */
export function literalsOf(text: string): (at: number) => boolean {
  const spans = [...literalSpans(text)];
  return (at) => spans.some(({ from, to }) => at > from && at < to);
}

/** In order; see `literalsOf`. */
export function* literalSpans(text: string): Generator<Span> {
  let at = 0;
  while (at >= 0) {
    opening.lastIndex = at;
    const match = opening.exec(text);
    if (match === null) return;
    const from = match.index;
    const [sign] = match;
    let to: number;
    if (sign === '--') {
      at = text.slice(from).search(/[\r\n]|$/) + from;
      continue;
    } else if (sign === '/*') {
      at = afterComment(text, from);
      continue;
    } else if (sign === "'") {
      to = afterQuoted(text, from, "'");
      // With standard_conforming_strings off the literal would end elsewhere.
      if (to >= 0 && text.slice(from, to).includes('\\')) return;
    } else if (sign === '"') to = afterQuoted(text, from, '"');
    else if (sign === '$') {
      dollarTag.lastIndex = from;
      const tag = dollarTag.exec(text)?.[0];
      if (tag === undefined) {
        at = from + 1;
        continue;
      }
      const closing = text.indexOf(tag, from + tag.length);
      to = closing < 0 ? -1 : closing + tag.length;
    } else {
      identifier.lastIndex = from;
      identifier.test(text);
      at = identifier.lastIndex;
      if (!/^e$/i.test(text.slice(from, at)) || text.charAt(at) !== "'") continue;
      to = afterEscaped(text, at);
    }
    if (to < 0) return;
    yield { from, to };
    at = to;
  }
}
