/** How references are written in templates of the language `env`. */
export interface Syntax {
  /** `${`, or what --delimiters says. */
  readonly open: string;
  /** `}`, or what --delimiters says. */
  readonly close: string;
  /** True for the shell's own way, in which `$NAME` is a reference as well and `$$` a dollar. */
  readonly shell: boolean;
  /** The names that are replaced, everything else staying as it is; undefined for all. */
  readonly only: ReadonlySet<string> | undefined;
}

export type Node = string | Reference;

/** `-` and `+` of POSIX's parameter expansion, and `?` (XCU 2.6.2). */
export type Operator = '-' | '+' | '?';

export interface Reference {
  readonly name: string;
  /** Where it begins in the template, in UTF-16 units. */
  readonly offset: number;
  readonly operator: Operator | undefined;
  /** With a colon before the operator: an empty value counts as unset. */
  readonly emptyToo: boolean;
  /** What follows the operator. */
  readonly word: readonly Node[];
  /** That as it was written. */
  readonly written: string;
}

/** Why a template cannot be read; `offset` is where. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}
