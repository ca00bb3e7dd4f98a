/** Words that name the part of a migration that takes it back. */
const undo =
  '(?:downs?|undo|un-do|roll[ -]?backs?|reverts?|reverse|downgrades?|backwards?|back[ -]?out|tear[ -]?down|unapply)';

/** Words that tools and people put beside it without meaning more. */
const beside =
  '(?:migrations?|scripts?|parts?|sections?|blocks?|sql|begins?|starts?|here|no-?transaction|[a-z]+[:=][a-z]+)';

/** What may stand before it: a tool's word with a sign, a known word without one, or a label and its colon. */
const before = [
  '[+@!%$:&][a-z][a-z0-9_-]*[ :]+',
  '(?:(?:rambler|goose|micrate|dbmate|flyway|liquibase|sql-migrate|knex|alembic|migrate|migrations?|schema|db|sql|script|section|part|begin|start|of)[ :>.-]+){1,3}',
  '[a-z][a-z0-9_-]*(?: [a-z0-9_-]+)? ?[:>|] ?',
].join('|');

const mark = new RegExp(
  `^(?:${before})?[^\\p{L}\\p{N}]*${undo}(?:[^\\p{L}\\p{N}]+${beside})*[^\\p{L}\\p{N}]*$`,
  'iu',
);

/** node-pg-migrate takes any line that begins so, whatever follows: its own mark, or a sentence that it would cut at. */
const sentence = /^[\s-]*down\s+migration\b/i;

/** Marks are short; a long comment is prose, and is not worth the time. */
const longest = 160;

/**
 * True for a comment that is nothing but a mark of the part that undoes a migration, with or without a tool's prefix
 * and ornaments. A sentence that holds such a word is none.
 * @param comment what stands in the comment, without its signs, as Latin-1
 */
export function isUndoMark(comment: string): boolean {
  if (comment.length > longest) return false;
  const text = Buffer.from(comment, 'latin1').toString().replaceAll(/\s+/g, ' ');
  if (sentence.test(text)) return true;
  return mark.test(text.replace(/^[^\p{L}+@!%$:&]+/u, '').trimEnd());
}
