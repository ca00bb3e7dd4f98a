import { lexTemplate, type TemplateToken } from './lex.ts';
import {
  TemplateFault,
  type Branch,
  type GoCommand,
  type GoNode,
  type Operand,
  type ParsedTemplate,
  type Pipe,
} from './nodes.ts';

/** What is wrong with a call, in words; undefined where nothing is. */
export type CheckCall = (name: string, argumentCount: number) => string | undefined;

/** Levels of blocks and parentheses within each other. */
const deepest = 100;

const keywords: ReadonlySet<string> = new Set([
  'block',
  'break',
  'continue',
  'define',
  'else',
  'end',
  'if',
  'range',
  'template',
  'with',
]);

/** What ended a list of nodes. */
interface End {
  readonly word: 'end' | 'else' | undefined;
  readonly at: number;
}

/**
 * Reads a template by the grammar of text/template, with the checks that Go makes beforehand.
 * @param problems gets the calls that cannot be made, all of them
 * @throws TemplateFault where it is not a template
 */
export function parseGoTemplate(
  text: string,
  delimiters: readonly [left: string, right: string],
  checkCall: CheckCall,
  problems: TemplateFault[],
): ParsedTemplate {
  const tokens = lexTemplate(text, delimiters);
  const defined = new Map<string, readonly GoNode[]>();
  const uses: { readonly name: string; readonly at: number }[] = [];
  let index = 0;
  let variables: string[] = ['$'];
  let loops = 0;
  let level = 0;

  const here = (): number => tokens[index]?.at ?? text.length;
  const fault = (words: string, at = here()): TemplateFault => new TemplateFault(at, words);
  const skipSpace = (): boolean => {
    const found = tokens[index]?.kind === 'space';
    while (tokens[index]?.kind === 'space') index++;
    return found;
  };
  /** The next token that is no space. */
  const next = (): TemplateToken | undefined => {
    skipSpace();
    return tokens[index];
  };
  const isMark = (token: TemplateToken | undefined, mark: string): boolean =>
    token?.kind === 'mark' && token.text === mark;
  const within = <T>(read: () => T): T => {
    if (++level > deepest) throw fault(`it is nested deeper than ${deepest} levels`);
    const made = read();
    level--;
    return made;
  };

  const nodes = readNodes('top').nodes;
  for (const { name, at } of uses)
    if (!defined.has(name))
      problems.push(fault(`there is no template ${JSON.stringify(name)} in this file`, at));
  return { nodes, defined };

  function readNodes(place: 'top' | 'define' | 'block'): { nodes: GoNode[]; end: End } {
    const list: GoNode[] = [];
    for (;;) {
      const token = tokens[index++];
      if (token === undefined) {
        if (place !== 'top') throw fault('{{ end }} is missing', text.length);
        return { nodes: list, end: { word: undefined, at: text.length } };
      }
      if (token.kind === 'text') {
        list.push({ kind: 'text', at: token.at, text: token.text });
        continue;
      }
      const word = next();
      const keyword = word?.kind === 'word' && keywords.has(word.text) ? word.text : undefined;
      if (keyword === 'end' || keyword === 'else') {
        if (place === 'top' || (place === 'define' && keyword === 'else'))
          throw fault(`${keyword} has no block that it belongs to`);
        index++;
        if (keyword === 'end') closed('end');
        return { nodes: list, end: { word: keyword, at: token.at } };
      }
      if (keyword === undefined) {
        const pipe = readPipe('close', token.at);
        list.push({ kind: 'action', at: token.at, pipe });
        continue;
      }
      index++;
      const made = readKeyword(keyword, token.at, place);
      if (made !== undefined) list.push(made);
    }
  }

  function readKeyword(keyword: string, at: number, place: string): GoNode | undefined {
    switch (keyword) {
      case 'if':
      case 'with':
      case 'range':
        return readBranch(keyword, at);
      case 'break':
      case 'continue':
        if (loops === 0) throw fault(`${keyword} stands outside of range`, at);
        closed(keyword);
        return { kind: keyword, at };
      case 'define': {
        if (place !== 'top') throw fault('define stands at the top of a file, in no other block', at);
        const name = readName(keyword);
        closed('define');
        define(name, at);
        return undefined;
      }
      case 'block': {
        const name = readName(keyword);
        const pipe = readPipe('close', at);
        define(name, at);
        return { kind: 'template', at, name, pipe };
      }
      default: {
        const name = readName(keyword);
        uses.push({ name, at });
        const token = next();
        if (token?.kind !== 'close') return { kind: 'template', at, name, pipe: readPipe('close', at) };
        index++;
        return { kind: 'template', at, name, pipe: undefined };
      }
    }
  }

  function readName(keyword: string): string {
    const token = next();
    if (token?.kind !== 'string') throw fault(`${keyword} wants the name of a template in quotes`);
    index++;
    return token.text;
  }

  /** Its variables are its own: `$` is what it is given. */
  function define(name: string, at: number): void {
    if (defined.has(name)) throw fault(`the template ${JSON.stringify(name)} is defined twice`, at);
    const outer = { variables, loops };
    variables = ['$'];
    loops = 0;
    const { nodes: made } = within(() => readNodes('define'));
    ({ variables, loops } = outer);
    defined.set(name, made);
  }

  function readBranch(kind: Branch['kind'], at: number): Branch {
    const outer = variables.length;
    const pipe = readPipe('close', at, kind === 'range');
    if (kind === 'range') loops++;
    const own = variables.length;
    const then = within(() => readNodes('block'));
    if (kind === 'range') loops--;
    variables.length = own;
    let otherwise: readonly GoNode[] = [];
    if (then.end.word === 'else') {
      const token = next();
      if (token?.kind === 'word' && token.text === kind && kind !== 'range') {
        index++;
        // `else if` and `else with` end with the block that they are in.
        otherwise = [within(() => readBranch(kind, then.end.at))];
      } else {
        closed('else');
        const rest = within(() => readNodes('block'));
        if (rest.end.word === 'else') throw fault('there is a second else', rest.end.at);
        otherwise = rest.nodes;
      }
    }
    variables.length = outer;
    return { kind, at, pipe, whenTrue: then.nodes, otherwise };
  }

  function closed(word: string): void {
    const token = next();
    if (token?.kind !== 'close') throw fault(`something unexpected follows ${word}`);
    index++;
  }

  function readPipe(until: 'close' | ')', at: number, loop = false): Pipe {
    const { names, assigns } = readDeclaration(loop);
    const commands: GoCommand[] = [];
    for (;;) {
      const token = next();
      const ends = until === ')' ? isMark(token, ')') : token?.kind === 'close';
      if (ends) {
        index++;
        break;
      }
      if (token === undefined || token.kind === 'close') throw fault(') is missing');
      commands.push(readCommand(commands.length));
    }
    if (commands.length === 0) throw fault('a value is missing here', at);
    variables.push(...(assigns ? [] : names));
    return { at, variables: names, assigns, commands };
  }

  function readDeclaration(loop: boolean): { readonly names: readonly string[]; readonly assigns: boolean } {
    const start = index;
    const names: string[] = [];
    for (;;) {
      const token = next();
      if (token?.kind !== 'variable') break;
      index++;
      const mark = next();
      if (loop && names.length === 0 && isMark(mark, ',')) {
        names.push(token.text);
        index++;
        continue;
      }
      if (!isMark(mark, ':=') && !isMark(mark, '=')) break;
      names.push(token.text);
      index++;
      const assigns = mark?.text === '=';
      for (const name of names)
        if (assigns && !variables.includes(name))
          throw fault(`there is no variable ${name} to assign to; := makes one`, token.at);
      return { names, assigns };
    }
    index = start;
    return { names: [], assigns: false };
  }

  function readCommand(place: number): GoCommand {
    const at = here();
    const operands: Operand[] = [];
    for (;;) {
      skipSpace();
      const operand = readOperand();
      if (operand === undefined) break;
      operands.push(operand);
      if (!skipSpace()) break;
    }
    const token = next();
    if (isMark(token, '|')) {
      index++;
      const after = next();
      if (after === undefined || after.kind === 'close' || isMark(after, ')'))
        throw fault('a function is missing after |');
    } else if (token !== undefined && token.kind !== 'close' && !isMark(token, ')'))
      throw fault('something unexpected follows a value');
    const [first, ...others] = operands;
    if (first === undefined) throw fault('a value is missing here', at);
    if (first.kind === 'function') {
      const wrong = checkCall(first.name, others.length + (place > 0 ? 1 : 0));
      if (wrong !== undefined) problems.push(fault(wrong, first.at));
    } else if (place > 0 || others.length > 0) {
      throw fault(
        place > 0 ? 'only a function can stand after |' : 'only a function takes arguments: this is a value',
        first.at,
      );
    }
    // A function in an argument is called with none.
    for (const other of others)
      if (other.kind === 'function') {
        const wrong = checkCall(other.name, 0);
        if (wrong !== undefined) problems.push(fault(wrong, other.at));
      }
    return { at, first, others };
  }

  function readOperand(): Operand | undefined {
    const token = tokens[index];
    if (token === undefined) return undefined;
    const { at } = token;
    switch (token.kind) {
      case 'dot':
        index++;
        refuseFields();
        return { kind: 'dot', at };
      case 'field':
        return { kind: 'field', at, names: readFields() };
      case 'variable':
        index++;
        if (!variables.includes(token.text)) throw fault(`there is no variable ${token.text}`, at);
        return { kind: 'variable', at, name: token.text, names: readFields() };
      case 'word': {
        if (keywords.has(token.text)) throw fault(`${token.text} is not a value`, at);
        index++;
        if (token.text === 'true' || token.text === 'false') return constant(token.text === 'true', at);
        if (token.text === 'nil') return constant(null, at);
        refuseFields();
        return { kind: 'function', at, name: token.text };
      }
      case 'string':
        index++;
        return constant(token.text, at);
      case 'number':
        index++;
        return constant(numberOf(token.text, at), at);
      case 'mark': {
        if (token.text !== '(') return undefined;
        index++;
        const pipe = within(() => readPipe(')', at));
        return { kind: 'inner', at, pipe, names: readFields() };
      }
      case 'text':
      case 'open':
      case 'close':
      case 'space':
      default:
        return undefined;
    }
  }

  function constant(value: string | bigint | number | boolean | null, at: number): Operand {
    refuseFields();
    return { kind: 'constant', at, value };
  }

  function refuseFields(): void {
    const { kind } = tokens[index] ?? {};
    if (kind === 'field' || kind === 'dot')
      throw fault('this has no fields; write ( … ).name for those of a result');
  }

  function readFields(): string[] {
    const names: string[] = [];
    for (let token = tokens[index]; token?.kind === 'field'; token = tokens[++index]) names.push(token.text);
    return names;
  }

  function numberOf(written: string, at: number): bigint | number {
    const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(written.replaceAll('_', '')) ?? [];
    if (/^(?:0[xX][\dA-Fa-f]+|0[bB][01]+|0[oO][0-7]+|[1-9]\d*|0)$/.test(digits))
      return bounded(BigInt(digits) * (sign === '-' ? -1n : 1n), at);
    if (/^0[0-7]+$/.test(digits)) return bounded(BigInt(`0o${digits}`) * (sign === '-' ? -1n : 1n), at);
    const number = Number(digits);
    if (!Number.isFinite(number)) throw fault('this is not a number', at);
    return sign === '-' ? -number : number;
  }

  function bounded(value: bigint, at: number): bigint {
    if (BigInt.asIntN(64, value) !== value) throw fault('the number has more than 64 bits', at);
    return value;
  }
}
