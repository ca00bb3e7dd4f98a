import { SyntaxProblem, type Node, type Operator, type Reference, type Syntax } from './syntax.ts';

/** References within the words of others: deeper than any template, and far from the stack's end. */
const deepest = 100;

/** What POSIX takes for a variable's name (XBD 3.216), at a place. */
const nameAt = /[A-Za-z_][A-Za-z0-9_]*/y;
const operatorAt = /(:?)([-+?=])/y;
/** What nearly all references of the shell's way are: `$$`, `$NAME`, `${NAME}`. */
const plainAt = /\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/y;

/**
 * Reads a template: `$NAME`, `${NAME}`, and `${NAME:-word}`, `-`, `:+`, `+`, `:?`, `?` as a POSIX shell means them in a
 * here-document. Nothing else of a shell: no commands, no arithmetic, and quotes are characters like any other.
 * @throws SyntaxProblem
 */
export function parseTemplate(text: string, syntax: Syntax): readonly Node[] {
  return new Parser(text, syntax).template();
}

class Parser {
  readonly #text: string;
  readonly #syntax: Syntax;
  /** What every reference begins with. */
  readonly #start: string;
  #at = 0;

  constructor(text: string, syntax: Syntax) {
    this.#text = text;
    this.#syntax = syntax;
    this.#start = syntax.shell ? '$' : syntax.open;
  }

  template(): readonly Node[] {
    const nodes: Node[] = [];
    for (;;) {
      const next = this.#text.indexOf(this.#start, this.#at);
      nodes.push(this.#text.slice(this.#at, next < 0 ? undefined : next));
      if (next < 0) return nodes;
      this.#at = next;
      nodes.push(this.#node(0));
    }
  }

  /** Reads what stands where a reference may begin: an escape, a reference, or nothing special. */
  #node(depth: number): Node {
    const { shell, only } = this.#syntax;
    const offset = this.#at;
    const plain = shell && only === undefined ? this.#match(plainAt, offset) : undefined;
    if (plain !== undefined) {
      this.#at = plainAt.lastIndex;
      const name = plain[2] ?? plain[3];
      if (name === undefined) return '$';
      return { name, offset, operator: undefined, emptyToo: false, word: [], written: '' };
    }
    const start = this.#start;
    if (this.#sees(start + start) && this.#mayBeReference(this.#at + start.length, true)) {
      this.#at += 2 * start.length;
      return start;
    }
    if (this.#mayBeReference(this.#at, false)) return this.#reference(depth);
    this.#at += start.length;
    return start;
  }

  #sees(word: string): boolean {
    return this.#text.startsWith(word, this.#at);
  }

  /**
   * Does something that is to be replaced begin there? Without a list of names, everything that looks so, and every
   * `$$` is an escape; with one, only references to those names, so that `$$` of a script stays.
   */
  #mayBeReference(at: number, escaped: boolean): boolean {
    const { only, shell, open } = this.#syntax;
    if (only !== undefined) return only.has(this.#nameAfter(at) ?? '');
    if (escaped || !shell) return true;
    return this.#text.startsWith(open, at) || this.#match(nameAt, at + 1) !== undefined;
  }

  /** The name of the reference that begins there. */
  #nameAfter(at: number): string | undefined {
    const { open, shell } = this.#syntax;
    if (this.#text.startsWith(open, at)) return this.#match(nameAt, this.#skipBlanks(at + open.length))?.[0];
    return shell ? this.#match(nameAt, at + 1)?.[0] : undefined;
  }

  #match(pattern: RegExp, at: number): RegExpExecArray | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.#text) ?? undefined;
  }

  /** `[[ NAME ]]` is read as `[[NAME]]`; in the shell's way there are no blanks. */
  #skipBlanks(from: number): number {
    if (this.#syntax.shell) return from;
    let at = from;
    while (this.#text[at] === ' ' || this.#text[at] === '\t') at++;
    return at;
  }

  #reference(depth: number): Reference {
    const offset = this.#at;
    const { open, close, shell } = this.#syntax;
    if (depth > deepest) throw new SyntaxProblem(`more than ${deepest} references within each other`, offset);
    if (!this.#sees(open)) {
      const name = this.#nameAfter(offset) ?? '';
      this.#at += 1 + name.length;
      return { name, offset, operator: undefined, emptyToo: false, word: [], written: '' };
    }
    this.#at = this.#skipBlanks(offset + open.length);
    const name = this.#match(nameAt, this.#at)?.[0];
    if (name === undefined) throw this.#noName(offset);
    this.#at = this.#skipBlanks(this.#at + name.length);
    if (this.#sees(close)) {
      this.#at += close.length;
      return { name, offset, operator: undefined, emptyToo: false, word: [], written: '' };
    }
    const [whole = '', colon = '', operator = ''] = this.#match(operatorAt, this.#at) ?? [];
    if (operator === '=') {
      throw new SyntaxProblem(
        `${open}${name}${whole} would assign, which a template cannot; write ${open}${name}${colon}-…${close}`,
        offset,
      );
    }
    if (operator === '') throw this.#unknownOperator(offset, name);
    this.#at += whole.length;
    const from = this.#at;
    const word = this.#word(offset, depth);
    const written = this.#text.slice(from, this.#at - close.length);
    const reference = { name, offset, emptyToo: colon === ':', word, written };
    return { ...reference, operator: operator as Operator, ...(shell ? {} : { word: trimmedEnd(word) }) };
  }

  /** Everything up to the closing delimiter, in which `\` takes the meaning from itself and delimiters alone. */
  #word(offset: number, depth: number): readonly Node[] {
    const { open, close, shell } = this.#syntax;
    const nodes: Node[] = [];
    let literal = '';
    const specials = shell ? ['\\', '$', '}'] : ['\\', open, close];
    for (;;) {
      if (this.#at >= this.#text.length) throw this.#unclosed(offset);
      if (this.#sees(close)) {
        this.#at += close.length;
        return literal === '' ? nodes : [...nodes, literal];
      }
      const escaped = this.#sees('\\')
        ? specials.find((special) => this.#text.startsWith(special, this.#at + 1))
        : undefined;
      if (escaped !== undefined) {
        literal += escaped;
        this.#at += 1 + escaped.length;
      } else if (this.#sees(this.#start)) {
        if (literal !== '') nodes.push(literal);
        literal = '';
        nodes.push(this.#node(depth + 1));
      } else {
        literal += this.#text[this.#at];
        this.#at++;
      }
    }
  }

  #noName(offset: number): SyntaxProblem {
    const { open, close } = this.#syntax;
    if (!this.#text.includes(close, this.#at)) return this.#unclosed(offset);
    return new SyntaxProblem(
      `a name is missing after ${open}: letters, digits and _, no digit first; ${this.#escape()}`,
      offset,
    );
  }

  #unknownOperator(offset: number, name: string): SyntaxProblem {
    const { open, close } = this.#syntax;
    if (!this.#text.includes(close, this.#at)) return this.#unclosed(offset);
    return new SyntaxProblem(
      `${open}${name} is followed by ${JSON.stringify(this.#text[this.#at] ?? '')}; accepted are ${close} and :- - :+ + :? ?; ${this.#escape()}`,
      offset,
    );
  }

  #unclosed(offset: number): SyntaxProblem {
    const { open, close } = this.#syntax;
    return new SyntaxProblem(`${open} is not closed by ${close}; ${this.#escape()}`, offset);
  }

  #escape(): string {
    const start = this.#start;
    return `${start}${start} writes ${start}`;
  }
}

/** `[[ NAME:-word ]]`: the blank before the delimiter is not the word's. */
function trimmedEnd(word: readonly Node[]): readonly Node[] {
  const last = word.at(-1);
  return typeof last === 'string' ? [...word.slice(0, -1), last.replace(/[ \t]+$/, '')] : word;
}
