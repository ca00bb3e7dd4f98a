/** Words that can stand alone as the mark of the part that takes a migration back. */
const mark = '(?:downs?|undo|roll[ -]?backs?|reverts?|downgrades?)';

/** Stems of the words for undoing, in prose too: what they tell is then a matter of the statements. */
const undo = `(?:${[
  'down(?:s|wards?)?',
  'un-?d(?:o(?:e?s|ing|ne)?|id)',
  'roll(?:s|ed|ing)?[ -]?back\\p{L}*',
  'rever[st]\\p{L}*',
  'downgrad\\p{L}*',
  'back(?:wards?)?',
  'back(?:s|ed|ing)?[ -]?outs?',
  't(?:ear(?:s|ing)?|or[en])[ -]?downs?',
  'un[ -]?(?:appl[iy]|install|deploy|migrat)\\p{L}*',
  'de-?install\\p{L}*',
].join('|')})`;

/** Words that tools and people put beside it without meaning more. */
const beside =
  '(?:migrations?|scripts?|parts?|sections?|blocks?|sql|begins?|starts?|here|below|follows|statements?|no-?transaction|v\\d[\\p{N}.]*|[a-z]+[:=][a-z]+)';

/** What may stand before it: a tool's word with a sign, or a known word without one. */
const before = [
  '[+@!%$:&] ?[a-z][a-z0-9_-]*[ :]+',
  '(?:(?:rambler|goose|micrate|dbmate|flyway|liquibase|sql-migrate|knex|alembic|migrate|migrations?|schema|db|sql|script|section|part|begin|start|of)[ :>.-]+){1,3}',
].join('|');

/** A number beside it, such as the version, means no more than an ornament. */
const alone = new RegExp(
  `^(?:${before})?[^\\p{L}\\p{N}]*${mark}(?:[^\\p{L}\\p{N}]+${beside})*[^\\p{L}]*$`,
  'iu',
);

/** tern's separator, spelt in another way than tern has it. */
const separator = /^\p{L}+ above\P{L}+(?:drop|destroy|down|undo|revert|roll ?back) below\P{L}*$/iu;

/** node-pg-migrate takes any line that begins so, whatever follows: its own mark, or a sentence that it would cut at. */
const sentence = /^[\s-]*down\s+migration\b/i;

/** Marks are short; a long comment is prose, and is not worth the time. */
const longest = 160;

/** Wide letters, letters with spaces between them and invisible characters are read as a person reads them. */
function plain(comment: string): string {
  return Buffer.from(comment, 'latin1')
    .toString()
    .normalize('NFKC')
    .replaceAll(/\p{Cf}/gu, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/(?<!\p{L})(\p{L}) (?=\p{L}(?!\p{L}))/gu, '$1');
}

/**
 * True for a comment that is nothing but a mark of the part that undoes a migration, with or without a tool's prefix
 * and ornaments. A sentence that holds such a word is none.
 * @param comment what stands in the comment, without its signs, as Latin-1
 */
export function isUndoMark(comment: string): boolean {
  if (comment.length > longest) return false;
  const text = plain(comment);
  if (sentence.test(text) || sqitch.test(text.trim())) return true;
  const bare = text.replace(/^[^\p{L}+@!%$:&]+/u, '').trimEnd();
  return alone.test(bare) || separator.test(bare);
}

/** sqitch's own head of a script that undoes (https://sqitch.org/docs/manual/sqitch-add/). */
const sqitch = /^revert \S+:\S+ from \S+$/iu;

/** Plain English that undoes nothing. "Take it back" and the like are not among it: they can be said of a migration. */
const phrase =
  /(?<!\p{L})(?:(?:lock|narrow)(?:s|ed|ing)?(?:[ -](?:it|them|(?:the|all) \p{L}+))?[ -]?down|drop[ -]?down[ -](?:list|menu|box|field|value|option)s?|(?:writ(?:es?|ing|ten)|wrote|no way)[ -]back|backwards?[ -](?:in)?compatib\p{L}*)(?!\p{L})/giu;

const undoWord = new RegExp(`(?<!\\p{L})${undo}(?!\\p{L})`, 'giu');

/**
 * Tells whether a comment speaks of undoing; `back` where that one word is all that does ("put the key back"). It alone
 * does not say that a part for undoing begins; what the statements change does.
 */
export function speaksOfUndoing(comment: string): 'undo' | 'back' | undefined {
  const text = plain(comment)
    .replaceAll(/(?<=\p{Ll})(?=\p{Lu})/gu, ' ')
    .replaceAll(phrase, '·');
  const said = text.match(undoWord) ?? [];
  if (said.some((word) => !/^back(?:wards?)?$/i.test(word)) || separator.test(text.trim())) return 'undo';
  return said.length > 0 ? 'back' : undefined;
}

const directive = /^[^\p{L}\p{N}]*((?:[\p{L}\p{N}_-]+[:=])+)(\p{L}+)(?!\p{L})/iu;
const upWord = /^(?:ups?|forwards?|apply|upgrades?|migrate|do|install|deploy)$/iu;
const downWord = new RegExp(`^${undo}$`, 'iu');

/** "acme:" of "acme:up:42" and of "acme:down:42": the prefix of a tool's two marks. */
export function prefixOf(direction: 'up' | 'undo', comment: string): string | undefined {
  if (comment.length > longest) return undefined;
  const [, prefix = '', word = ''] = directive.exec(plain(comment)) ?? [];
  return (direction === 'up' ? upWord : downWord).test(word) ? prefix.toLowerCase() : undefined;
}
