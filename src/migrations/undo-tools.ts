/** How a tool whose marks are not honoured here finds the part that undoes. */
interface Tool {
  readonly name: string;
  /** Its own expression for the line that begins that part; the first group, if any, is the mark's number. */
  readonly down: RegExp;
  /** Whether the tool takes a line that looks like one. */
  readonly takes?: (line: string) => boolean;
  /** A file that has no such line is not the tool's, so that the words are prose in it. */
  readonly up?: RegExp;
}

/**
 * All of them go by lines, whatever text these stand in: a literal, a body or a comment as well. A mark may have more
 * words behind it, as far as the tool takes them.
 */
const tools: readonly Tool[] = [
  {
    // https://github.com/mojolicious/mojo-pg/blob/main/lib/Mojo/Pg/Migrations.pm
    name: 'Mojo::Pg',
    down: /^[ \t\f\v]*--[ \t\f\v]*(\d+)[ \t\f\v]*down/gim,
    up: /^[ \t\f\v]*--[ \t\f\v]*(\d+)[ \t\f\v]*up(?:(\b)|)/gim,
  },
  {
    // https://github.com/mybatis/migrations/blob/master/src/main/java/org/apache/ibatis/migration/MigrationReader.java
    name: 'MyBatis Migrations',
    down: /^[ \t\f\v]*--[ \t\f\v]*\/\/.*@UNDO/gim,
  },
  {
    // https://github.com/playframework/play-evolutions (Evolutions.scala)
    name: 'Play evolutions',
    down: /^(?:#|--).*!Downs/gm,
  },
  {
    // https://github.com/elwinar/rambler: any other line that begins so ends the part.
    name: 'rambler',
    down: /^-- rambler(?![ \t\f\v]*up[ \t\f\v]*$)/gm,
    up: /^-- rambler[ \t\f\v]*up[ \t\f\v]*$/gm,
  },
  { name: 'rambler', down: /^-- rambler[ \t\f\v]*down\b/gim },
  {
    // https://github.com/pressly/goose (internal/sqlparser/parser.go, extractAnnotation)
    name: 'goose',
    down: /^--.*\+goose.*$/gim,
    takes: (line) =>
      !/^--[ \t\f\v]*\+goose[ \t\f\v]/i.test(line) &&
      /^\s*down\s*$/i.test(line.replaceAll('--', '').replace(/\+goose/i, '')),
  },
  {
    // https://github.com/jackc/tern (migrate.go): it splits the text at these signs. The honoured mark ends the part.
    name: 'tern',
    down: /---- create above \/ drop below ----/g,
  },
  {
    // https://github.com/salsita/node-pg-migrate (sqlMigration.ts)
    name: 'node-pg-migrate',
    down: /^[ \t\f\v]*--[ \t\f\v-]*down[ \t\f\v]+migration\b/gim,
  },
  {
    // Whatever goes on behind these words; in a file of another tool "down migrations" is prose.
    name: 'node-pg-migrate',
    down: /^[ \t\f\v]*--[ \t\f\v-]*down[ \t\f\v]+migration/gim,
    up: /^[ \t\f\v]*--[ \t\f\v-]*up[ \t\f\v]+migration/gim,
  },
];

/**
 * The first mark of another tool in a part.
 * @param text as Latin-1
 */
export function foreignMark(
  text: string,
  from: number,
  to: number,
): { readonly at: number; readonly tool: string } | undefined {
  let first: { readonly at: number; readonly tool: string } | undefined;
  const seen = withPlainBlanks(text);
  for (const tool of tools) {
    for (const { 0: mark, 1: number, index } of seen.matchAll(tool.down)) {
      if (index < from) continue;
      if (index >= Math.min(to, first?.at ?? to)) break;
      if (tool.takes?.(mark) === false || !isIn(tool, seen, number)) continue;
      const start = mark.search(/[^ \t\f\v]/);
      first = { at: index + Math.max(start, 0), tool: tool.name };
      break;
    }
  }
  return first;
}

/**
 * The tools trim and match by Unicode: the blanks and line ends outside of ASCII, in UTF-8, become those of ASCII, as many
 * bytes as they had. (https://go.dev/pkg/unicode/#IsSpace; `\s` and `^` of JavaScript)
 */
function withPlainBlanks(text: string): string {
  return text
    .replace(/\xe2\x80[\xa8\xa9]/g, '\n  ')
    .replace(
      /\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2(?:\x80[\x80-\x8a\xaf]|\x81\x9f)|\xe3\x80\x80|\xef\xbb\xbf/g,
      (blank) => ' '.repeat(blank.length),
    );
}

/** A first mark of the same number, or one that is a word of its own: "1 update" is no mark for "2 down". */
function isIn({ up }: Tool, text: string, number: string | undefined): boolean {
  if (up === undefined) return true;
  for (const [, other, word] of text.matchAll(up))
    if (number === undefined || word !== undefined || Number(other) === Number(number)) return true;
  return false;
}
