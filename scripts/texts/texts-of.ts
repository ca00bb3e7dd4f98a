import { parseSync } from 'oxc-parser';

/** A text in a source file, with `{…}` where a value is put in. */
export interface Text {
  /** Counted from 1. */
  readonly line: number;
  readonly text: string;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** Keys whose strings are names of files or types and never reach a user. */
const silent = new Set([
  'ImportDeclaration',
  'ExportNamedDeclaration.source',
  'ImportExpression',
  'TSLiteralType',
]);

/** What begins a statement in SQL: these are for a server. */
const sql =
  /^\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|SET|SHOW|WITH|BEGIN|COMMIT|ROLLBACK|LISTEN|NOTIFY)\b/;

/**
 * The texts of a source file in their order: string and template literals of at least two words that are not SQL.
 * Literals joined by `+` are one text.
 * @throws Error where the file cannot be parsed
 */
export function textsOf(file: string, source: string): Text[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const found: Text[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (!isNode(value) || silent.has(value.type)) return undefined;
    const text = textOf(value);
    if (text !== undefined) {
      if (isForPeople(text))
        found.push({ line: lineAt(source, value.start), text: text.replace(/\s*\n\s*/g, ' ⏎ ') });
      // What is put into a template may hold texts of its own.
      if (value.type !== 'Literal') holesOf(value).forEach(visit);
      return undefined;
    }
    for (const [key, child] of Object.entries(value)) {
      if (!silent.has(`${value.type}.${key}`)) visit(child);
    }
    return undefined;
  };
  visit(program);
  return found;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

/** The text that an expression is, with `{…}` for each value in it; undefined where it is none. */
function textOf(node: Node): string | undefined {
  if (node.type === 'Literal') return typeof node['value'] === 'string' ? node['value'] : undefined;
  if (node.type === 'TemplateLiteral') {
    const parts = node['quasis'] as readonly { readonly value: { readonly cooked: string } }[];
    return parts.map(({ value }) => value.cooked).join('{…}');
  }
  if (node.type === 'BinaryExpression' && node['operator'] === '+') {
    const left = textOf(node['left'] as Node);
    const right = textOf(node['right'] as Node);
    if (left === undefined && right === undefined) return undefined;
    return `${left ?? '{…}'}${right ?? '{…}'}`;
  }
  return undefined;
}

/** The expressions behind the `{…}` of a text. */
function holesOf(node: Node): Node[] {
  if (node.type === 'TemplateLiteral') return node['expressions'] as Node[];
  if (node.type !== 'BinaryExpression') return [];
  return [node['left'] as Node, node['right'] as Node].flatMap((side) =>
    textOf(side) === undefined ? [side] : holesOf(side),
  );
}

function isForPeople(text: string): boolean {
  return /\p{L}[^\s]*\s+[^\s]*\p{L}/u.test(text.replaceAll('{…}', 'x')) && !sql.test(text);
}

function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}
