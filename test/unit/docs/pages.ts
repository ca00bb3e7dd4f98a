import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../../..');

/** A fenced block of a page. */
export interface Block {
  /** `docs/run.md:12`, for messages. */
  readonly place: string;
  readonly language: string;
  readonly text: string;
}

export interface Page {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** The page without its blocks, line for line. */
  readonly prose: string;
}

/** Every page that users read. */
export const pages: readonly Page[] = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })
  .toSorted()
  .map((path) => readPage(path, readFileSync(join(root, path), 'utf8')));

/** The blocks in one of these languages, each with its place. */
export function blocksIn(...languages: readonly string[]): readonly (readonly [string, Block])[] {
  return pages.flatMap(({ blocks }) =>
    blocks
      .filter(({ language }) => languages.includes(language))
      .map((block) => [block.place, block] as const),
  );
}

export function pageAt(path: string): Page {
  const page = pages.find((one) => one.path === path);
  if (page === undefined) throw new Error(`there is no page ${path}`);
  return page;
}

function readPage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { indent: string; language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^(\s*)```(\w*)$/.exec(line);
    prose.push(fence || open ? '' : line);
    if (open === undefined) {
      if (fence) open = { indent: fence[1] ?? '', language: fence[2] ?? '', line: index + 1, lines: [] };
    } else if (fence && fence[2] === '') {
      const { language, lines } = open;
      blocks.push({ place: `${path}:${open.line}`, language, text: `${lines.join('\n')}\n` });
      open = undefined;
    } else open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the block is not closed`);
  return { path, text, blocks, prose: prose.join('\n') };
}

/** A table's rows, without head and rule, as cells. */
export interface Table {
  readonly place: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function tablesOf(page: Page): readonly Table[] {
  const tables: Table[] = [];
  let lines: string[] = [];
  const all = page.prose.split('\n');
  for (const [index, line] of [...all, ''].entries()) {
    if (line.startsWith('|')) {
      lines.push(line);
      continue;
    }
    const [head, , ...rows] = lines.map(cellsOf);
    if (head !== undefined) tables.push({ place: `${page.path}:${index + 1 - lines.length}`, head, rows });
    lines = [];
  }
  return tables;
}

/** `\|` is a bar in a cell. */
function cellsOf(line: string): string[] {
  return line
    .replace(/^\|\s*|\s*\|\s*$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll(String.raw`\|`, '|'));
}

/** What stands between single backquotes. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, code = '']) => code);
}
