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
  /(?<!\p{L})(?:(?:lock|narrow|slow|scale?)(?:s|d|ed|ing)?(?:[ -](?:it|them|(?:the|all) \p{L}+))?[ -]?down|drop[ -]?down[ -](?:list|menu|box|field|value|option)s?|(?:writ(?:es?|ing|ten)|wrote|no way)[ -]back|backwards?[ -](?:in)?compatib\p{L}*)(?!\p{L})/giu;

const undoWord = new RegExp(`(?<!\\p{L})${undo}(?!\\p{L})`, 'giu');

/**
 * Tells whether a comment speaks of undoing; `back` where that one word is all that does ("put the key back"). It alone
 * does not say that a part for undoing begins; what the statements change does.
 */
export function speaksOfUndoing(comment: string): 'undo' | 'back' | undefined {
  const text = plain(comment)
    .replaceAll(/(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/gu, ' ')
    .replaceAll(phrase, '·');
  const said = text.match(undoWord) ?? [];
  if (said.some((word) => !/^back(?:wards?)?$/i.test(word)) || separator.test(text.trim())) return 'undo';
  return said.length > 0 ? 'back' : undefined;
}

const upWords = 'ups?|forwards?|apply|upgrades?|migrate|do|install|deploy';
const upWord = new RegExp(`^(?:${upWords})$`, 'iu');

/** One of two marks of one form: "acme:up:42" and "acme:down:42". */
export interface PairMark {
  readonly direction: 'up' | 'undo';
  /** The same for both. */
  readonly form: string;
  /** `sign`: nobody writes prose so. `words`: only what the statement below changes tells it from prose. */
  readonly by: 'colon' | 'sign' | 'words';
}

const ornaments = '[^\\p{L}\\p{N}+@!%$&#/\\[<{(]*';
const word = `(${upWords}|${undo})(?!\\p{L})`;
const forms: readonly {
  readonly by: PairMark['by'];
  readonly line: RegExp;
  readonly form: (prefix: string, rest: string) => string | undefined;
}[] = [
  // acme:up:42, acme.up; with a blank between them it is prose ("Note: apply it").
  {
    by: 'colon',
    line: new RegExp(`^[^\\p{L}\\p{N}]*((?:[\\p{L}\\p{N}_-]+[:=])+)${word}`, 'iu'),
    form: (prefix) => prefix,
  },
  {
    by: 'sign',
    line: new RegExp(`^${ornaments}((?:[\\p{L}\\p{N}_-]+[:=./>]+)+)${word}`, 'iu'),
    form: (prefix) => prefix,
  },
  // +acme Up, @up, !up, // up
  {
    by: 'sign',
    line: new RegExp(`^${ornaments}([+@!%$&#]+ ?(?:\\p{L}[\\p{L}\\p{N}_-]*[ :]+)??|//+ ?)${word}`, 'iu'),
    form: (prefix) => prefix,
  },
  // [up], <up>
  {
    by: 'sign',
    line: new RegExp(`^${ornaments}([\\[<{(] ?(?:[\\p{L}\\p{N}_-]+[ :])?)${word} ?[\\]>})]`, 'iu'),
    form: (prefix) => prefix,
  },
  // ==== UP ====
  {
    by: 'sign',
    line: new RegExp(`^ ?([^\\p{L}\\p{N}\\s]{2,} ?)${word} ?[^\\p{L}\\p{N}\\s]{2,}`, 'iu'),
    form: () => '====',
  },
  // acme up 42, acme: up 42, 001_users up
  {
    by: 'sign',
    line: new RegExp(`^${ornaments}([\\p{L}\\p{N}.-]+(?:_[\\p{L}\\p{N}.-]+)*(?::? |[_-]))${word}(.*)$`, 'iu'),
    form: (prefix, rest) => {
      const number = /\p{N}/u.test(prefix) ? '' : /^[ :_#-]*([^ ]*\p{N}[^ ]*)/u.exec(rest)?.[1];
      return number === undefined ? undefined : `${prefix} ${number}`;
    },
  },
  // UP: users, Up - users
  {
    by: 'words',
    line: new RegExp(`^${ornaments}()${word}(?= ?[:=(\\[{>]| [-–—]+ )`, 'iu'),
    form: () => ':',
  },
  // UP alone, and a comment that begins with "down"
  {
    by: 'words',
    line: new RegExp(`^${ornaments}()(ups?(?=[^\\p{L}\\p{N}]*$)|downs?)(?!\\p{L})`, 'iu'),
    form: () => 'alone',
  },
  // up users, migrate up users
  {
    by: 'words',
    line: new RegExp(
      `^${ornaments}((?:(?:migrate|migrations?|schema|db|sql|script|section|part|begin|start) )?)(ups?|downs?)(?!\\p{L}) +(\\p{L}.*)$`,
      'iu',
    ),
    form: (prefix, rest) => `${prefix}… ${rest}`,
  },
];

/** "Do" and "back" begin many a sentence: each counts only beside its own opposite. */
function kindsOf(said: string): readonly string[] {
  if (said === 'do') return ['do'];
  if (said.startsWith('back')) return ['back'];
  if (/^un-?do/.test(said)) return ['', 'do'];
  return said.startsWith('forward') ? ['', 'back'] : [''];
}

/**
 * Reads a comment as one of two marks. Words may stand behind a mark; between two plain words "up" and "down" are prose,
 * if no number tells what they are about.
 */
export function pairMarks(comment: string): readonly PairMark[] {
  if (comment.length > longest) return [];
  const text = plain(comment).trimEnd();
  const marks: PairMark[] = [];
  for (const { by, line, form } of forms) {
    const [, prefix = '', said = '', rest = ''] = line.exec(text) ?? [];
    if (said === '') continue;
    const key = form(prefix.toLowerCase().replaceAll(' ', ''), rest.trim().toLowerCase());
    const direction = upWord.test(said) ? 'up' : 'undo';
    if (key === undefined) continue;
    const kinds = by === 'colon' ? [''] : kindsOf(said.toLowerCase());
    for (const kind of kinds) marks.push({ direction, form: `${by} ${key} ${kind}`, by });
  }
  return marks;
}
