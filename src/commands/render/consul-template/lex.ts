import { TemplateFault } from './nodes.ts';

/** A part of a template, as the lexer of text/template cuts it (text/template/parse/lex.go). */
export interface TemplateToken {
  readonly at: number;
  readonly kind:
    | 'text'
    | 'open'
    | 'close'
    | 'space'
    /** `.`, alone */
    | 'dot'
    /** `.name`; its text is the name */
    | 'field'
    /** `$` or `$name` */
    | 'variable'
    | 'word'
    | 'number'
    | 'string'
    /** `:=`, `=`, `|`, `(`, `)`, `,` */
    | 'mark';
  /** Of a string, what it means. */
  readonly text: string;
}

const blank = /[ \t\r\n]/;
const blanks = /[ \t\r\n]+/y;
const name = /[\p{L}\p{Nd}_]+/uy;
const number =
  /[+-]?(?:0[xX][\dA-Fa-f_]+|0[bB][01_]+|0[oO]?[0-7_]+(?![\d.eE_])|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)/y;
const quoted = /"(?:[^"\\\n]|\\[^\n])*"/y;
const raw = /`[^`]*`/y;
const character = /'(?:[^'\\\n]|\\[^\n])+'/y;
const mark = /:=|[=|(),]/y;

/**
 * Cuts a template into its parts.
 * @throws TemplateFault where it is not one
 */
export function lexTemplate(
  text: string,
  [left, right]: readonly [left: string, right: string],
): TemplateToken[] {
  const tokens: TemplateToken[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const add = (kind: TemplateToken['kind'], length: number, meant = text.slice(at, at + length)): void => {
    tokens.push({ kind, at, text: meant });
    at += length;
  };
  /** The length of the closing delimiter that stands here, with the blank and `-` before it; 0 where none does. */
  const closing = (): number => {
    if (blank.test(text.charAt(at)) && text.startsWith(`-${right}`, at + 1)) return right.length + 2;
    return text.startsWith(right, at) ? right.length : 0;
  };
  const close = (length: number, opened: number, comment: boolean): void => {
    if (comment) at += length;
    else add('close', length);
    if (length > right.length) at += match(blanks)?.length ?? 0;
    else if (length === 0) throw new TemplateFault(opened, `${left} is not closed by ${right}`);
  };

  for (;;) {
    const opened = text.indexOf(left, at);
    const end = opened < 0 ? text.length : opened;
    const trims =
      opened >= 0 && text[end + left.length] === '-' && blank.test(text.charAt(end + left.length + 1));
    const before = text.slice(at, end);
    const kept = trims ? before.replace(/[ \t\r\n]+$/, '') : before;
    if (kept !== '') tokens.push({ kind: 'text', at, text: kept });
    if (opened < 0) return tokens;
    at = opened + left.length + (trims ? 2 : 0);
    if (text.startsWith('/*', at)) {
      const over = text.indexOf('*/', at + 2);
      if (over < 0) throw new TemplateFault(opened, 'the comment is not closed by */');
      at = over + 2;
      if (closing() === 0)
        throw new TemplateFault(
          opened,
          `a comment stands alone: ${left}/* … */${right}, without blanks around it`,
        );
      close(closing(), opened, true);
      continue;
    }
    tokens.push({ kind: 'open', at: opened, text: left });
    lexInside(opened);
  }

  function lexInside(opened: number): void {
    while (closing() === 0) {
      if (at >= text.length) return close(0, opened, false);
      const start = at;
      const space = match(blanks);
      if (space !== undefined) {
        // The last blank may be that of the closing delimiter.
        const marked = text.startsWith(`-${right}`, at + space.length) ? 1 : 0;
        add('space', space.length - marked);
      } else if (text[at] === '.' && !/\d/.test(text.charAt(at + 1))) {
        at++;
        const field = match(name);
        at = start;
        if (field === undefined) add('dot', 1);
        else add('field', field.length + 1, field);
        terminated(start);
      } else if (text[at] === '$') {
        at++;
        const length = match(name)?.length ?? 0;
        at = start;
        add('variable', length + 1);
        terminated(start);
      } else if (match(number) !== undefined && /[\d.+-]/.test(text.charAt(at))) {
        add('number', match(number)?.length ?? 0);
        if (/[\p{L}\p{Nd}_]/u.test(text.charAt(at))) throw new TemplateFault(start, 'this is not a number');
      } else if (match(name) !== undefined) {
        add('word', match(name)?.length ?? 0);
        terminated(start);
      } else if (text[at] === '"' || text[at] === "'") {
        const written = match(text[at] === '"' ? quoted : character);
        if (written === undefined) throw new TemplateFault(start, 'the quote is not closed on its line');
        const meant = unquote(written.slice(1, -1), start);
        if (written.startsWith('"')) add('string', written.length, meant);
        else if (Array.from(meant).length === 1) add('number', written.length, String(meant.codePointAt(0)));
        else
          throw new TemplateFault(start, 'single quotes hold one character; a text stands in double quotes');
      } else if (text[at] === '`') {
        const written = match(raw);
        if (written === undefined) throw new TemplateFault(start, 'the quote ` is not closed');
        // Go leaves carriage returns out of raw strings (https://go.dev/ref/spec#String_literals).
        add('string', written.length, written.slice(1, -1).replaceAll('\r', ''));
      } else if (match(mark) !== undefined) add('mark', match(mark)?.length ?? 0);
      else throw new TemplateFault(at, `unexpected character between ${left} and ${right}`);
    }
    close(closing(), opened, false);
  }

  /** What follows a name: `.a-b` is no field (https://pkg.go.dev/text/template#hdr-Arguments). */
  function terminated(start: number): void {
    if (at >= text.length || closing() > 0 || /[ \t\r\n.,|:()=]/.test(text.charAt(at))) return;
    throw new TemplateFault(
      start,
      'a name has letters, digits and _ alone; write (index .Data "a-b") for a key with other characters',
    );
  }
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};
const escape = /\\(?:u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|x([0-7][\dA-Fa-f])|([0-3][0-7]{2})|([^uUx\d]))|\\/g;

/** What a quoted text of Go means; bytes that are not ASCII (`\xff`) are refused. */
function unquote(inner: string, at: number): string {
  return inner.replace(
    escape,
    (whole, short?: string, long?: string, hex?: string, octal?: string, other?: string) => {
      const digits = short ?? long ?? hex;
      const code = digits === undefined ? Number.parseInt(octal ?? '', 8) : Number.parseInt(digits, 16);
      const meant =
        other === undefined ? (code <= 0x10ffff ? String.fromCodePoint(code) : undefined) : escapes[other];
      if (meant === undefined || (octal !== undefined && code > 0x7f) || /\p{Surrogate}/u.test(meant))
        throw new TemplateFault(
          at,
          `the text has ${whole}, which is not an escape of Go's that is supported`,
        );
      return meant;
    },
  );
}
