import { UsageError } from '../core/outcome.ts';
import { utf8Of } from './latin1.ts';
import { literalsOf } from './literals.ts';
import { lineAt } from './split.ts';
import { codeFrom } from './undo-parts.ts';

/** https://docs.liquibase.com/secure/user-guide-5-0/what-is-the-sql-format */
const header = /^[ \t]*--[ \t]*liquibase[ \t]+formatted[ \t]+sql\b(.*)$/i;
const changeset = /^[ \t]*--[ \t]*changeset[ \t]+("[^"]+"|[^:"]+):[ \t]*("[^"]+"|\S+)(.*)$/i;
/** Surely meant as one, even where nothing else says that the file is Liquibase's. */
const bareChangeset = /^[ \t]*--[ \t]*changeset[ \t]+(?:"[^"]+"|[^:"]+):(?!\/\/)\S/i;
/** Lines that change nothing of what runs, with or without a colon. */
const harmless = /^[ \t]*--[ \t]*(?:comment|rollback|validCheckSum)(?=[ \t:]|$)/i;
/** Words of Liquibase at the start of a line, and what has the look of one: a word, a colon and a value. */
const instruction =
  /^[ \t]*--[ \t]*(?:changesets?|changelogs?|property|preconditions?|ignore\w*|include\w*|liquibase|[A-Za-z]\w*:(?!\/\/)\S|precondition-)/i;

/** Attributes of a changeset, or of the first line, that change nothing of what runs here. */
const attributes =
  /^(?:(?:logicalFilePath|changeLogId|created|rollbackSplitStatements|rollbackEndDelimiter):.*|stripComments:(?:true|false)|(?:splitStatements|failOnError|runInTransaction):true|(?:runAlways|runOnChange|ignore):false|endDelimiter:;)$/i;
const condition = /^(?:context(?:Filter)?|labels|dbms):/i;
const conditionLine = /^[ \t]*--[ \t]*precondition/i;

/**
 * Reads what a file of Liquibase's says besides its SQL. Only what is known to change nothing is passed over.
 * @param text as Latin-1
 * @returns false where its changesets run outside a transaction; undefined where it says nothing of it
 * @throws UsageError with the line
 */
export function readLiquibase(text: string, where: string): false | undefined {
  const lines = [...dashedLines(text)];
  const problem = (at: number, what: string): UsageError =>
    new UsageError(`${where}:${lineAt(text, at)}: ${what}`);
  const ownWay = (at: number, word: string): UsageError =>
    problem(
      at,
      `Liquibase reads "${utf8Of(word)}" in a way of its own, which is not done here; ` +
        'run Liquibase itself (migrate-with-lock -- liquibase update), or take it out',
    );
  const underCondition = (at: number): UsageError =>
    problem(
      at,
      'Liquibase runs this changeset under a condition, which is not read here; ' +
        'run Liquibase itself (migrate-with-lock -- liquibase update), or take the condition out',
    );

  const headed = lines.some((line) => header.test(line.text));
  if (!headed) {
    const sets = lines.filter((line) => bareChangeset.test(line.text));
    const inLiteral = sets.length > 0 ? literalsOf(text) : undefined;
    const set = sets.find((line) => inLiteral?.(line.at) === false);
    if (set === undefined) return undefined;
    throw problem(
      set.at,
      'this line begins a changeset of Liquibase, but the file does not begin with "--liquibase formatted sql"; ' +
        'add that line, or reword the comment',
    );
  }

  const sets: { readonly at: number; readonly outside: boolean }[] = [];
  for (const { at, text: line } of lines) {
    if (harmless.test(line)) continue;
    if (conditionLine.test(line)) throw underCondition(at);
    const set = changeset.exec(line);
    const given = set?.[3] ?? header.exec(line)?.[1];
    if (given === undefined) {
      if (instruction.test(line)) throw ownWay(at, line.trim());
      continue;
    }
    let outside = false;
    for (const [word] of given.matchAll(/(?:[^\s"]+|"[^"]*")+|"/g)) {
      const plain = word.replaceAll('"', '');
      if (condition.test(plain)) throw underCondition(at);
      if (set && /^runInTransaction:false$/i.test(plain)) outside = true;
      else if (!attributes.test(plain)) throw ownWay(at, word);
    }
    if (set) sets.push({ at, outside });
  }

  const early = codeFrom(text, 0, sets[0]?.at ?? text.length);
  if (early >= 0)
    throw problem(early, 'SQL before the first "--changeset author:id" belongs to no changeset');
  const placeholder = /\$\{[^}\r\n]*\}/.exec(text);
  if (placeholder) throw ownWay(placeholder.index, placeholder[0]);
  const [first] = sets;
  const other = sets.find(({ outside }) => outside !== first?.outside);
  if (first && other) {
    const [inside, out] = first.outside ? [other, first] : [first, other];
    throw problem(
      inside.at,
      `this changeset runs in a transaction, and the one in line ${lineAt(text, out.at)} does not; put them in two files`,
    );
  }
  return first?.outside ? false : undefined;
}

function* dashedLines(text: string): Generator<{ readonly at: number; readonly text: string }> {
  for (const match of text.matchAll(/^[ \t]*--[^\r\n]*/gm)) yield { at: match.index, text: match[0] };
}
