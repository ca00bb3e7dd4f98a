/** Words that name the part of a migration that takes it back. */
const undo =
  '(?:downs?|undo|un-do|roll[ -]?backs?|reverts?|reverse|downgrades?|backwards?|back[ -]?out|tear[ -]?down|unapply|(?:un|de-?)install|undeploy|unmigrate)';

/** Words that name the other part. */
const up = '(?:ups?|forwards?|apply|upgrades?|migrate|do|install|deploy)';

/** Words that tools and people put beside it without meaning more. */
const beside =
  '(?:migrations?|scripts?|parts?|sections?|blocks?|sql|begins?|starts?|here|below|follows|statements?|no-?transaction|v\\d[\\p{N}.]*|[a-z]+[:=][a-z]+)';

/** What may stand before it: a tool's word with a sign, a known word without one, or a label and its colon. */
const before = [
  '[+@!%$:&] ?[a-z][a-z0-9_-]*[ :]+',
  '(?:(?:rambler|goose|micrate|dbmate|flyway|liquibase|sql-migrate|knex|alembic|migrate|migrations?|schema|db|sql|script|section|part|begin|start|of)[ :>.-]+){1,3}',
  '[a-z][a-z0-9_-]*(?: [a-z0-9_-]+)? ?[:=>|] ?',
].join('|');

/** A number beside it, such as the version, means no more than an ornament. */
const mark = new RegExp(
  `^(?:${before})?[^\\p{L}\\p{N}]*${undo}(?:[^\\p{L}\\p{N}]+${beside})*[^\\p{L}]*$`,
  'iu',
);

/** tern's separator, spelt in another way than tern has it. */
const separator = /^\p{L}+ above\P{L}+(?:drop|destroy|down|undo|revert|roll ?back) below\P{L}*$/iu;

/** node-pg-migrate takes any line that begins so, whatever follows: its own mark, or a sentence that it would cut at. */
const sentence = /^[\s-]*down\s+migration\b/i;

/** Marks are short; a long comment is prose, and is not worth the time. */
const longest = 160;

function plain(comment: string): string {
  return Buffer.from(comment, 'latin1').toString().replaceAll(/\s+/g, ' ');
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
  return mark.test(bare) || separator.test(bare);
}

/** sqitch's own head of a script that undoes (https://sqitch.org/docs/manual/sqitch-add/). */
const sqitch = /^revert \S+:\S+ from \S+$/iu;

const undoWord = new RegExp(`(?<!\\p{L})${undo}(?!\\p{L})`, 'giu');
/** Of a pair: alone, "back" is nothing. */
const undoWordOfPair = new RegExp(`(?<!\\p{L})(?:${undo}|back)(?!\\p{L})`, 'giu');
const upWord = new RegExp(`(?<!\\p{L})${up}(?!\\p{L})`, 'giu');

/** Verbs of which "down" is a part, and words of sentences: what ends so is no mark. */
const phrasal =
  /(?:^|[^\p{L}])(?:bog|boil|break|bring|call|clos|come?|cool|count|cut|drill|drop|fall|go|goe|hold|keep|knock|lay|lock|look|mark|nail|narrow|pare|pass|pin|pop|pull|push|put|ramp|scal|scale|set|shut|siz|size|slow|spin|step|strip|take|tear|thin|tick|tone|top|track|trickle|trim|turn|whittle|wind|write)(?:e?s|ing|ped|ed)?\P{L}*$/iu;
const ofSentences =
  /(?:^|[^\p{L}])(?:a|an|and|are|at|be|before|after|by|can|cannot|don|for|from|if|in|into|is|it|must|never|no|not|of|or|our|own|should|so|that|the|then|this|to|up|was|were|what|when|while|will|with|without)(?!\p{L})/iu;
/** A sign that makes what stands before it a label or a tool's prefix. */
const sign = /[:=+@!%$&>|[{<(]/;
/** After the word: a sign that begins what the part is called, as in "Down: drop the orders" and "Down - drop a". */
const headed = /^(?: ?[:=|>([{]| [–—-]+ )/;
const tool = /^\P{L}*\p{L}+\P{L}+(?:migrat\w*|schema|db|sql|script|section|part|step|phase|version)\P{L}*$/iu;

interface Cut {
  readonly head: string;
  readonly tail: string;
}

function wordsIn(text: string): number {
  return text.match(/[\p{L}\p{N}]+/gu)?.length ?? 0;
}

/** A short comment cut at each of its words of one direction; none where it is SQL that is commented out. */
function cutsAt(word: RegExp, comment: string, most: number): Cut[] {
  return allCutsAt(word, comment, most).filter(({ head }) => !phrasal.test(head));
}

function allCutsAt(word: RegExp, comment: string, most: number): Cut[] {
  if (comment.length > longest) return [];
  const text = plain(comment)
    .replaceAll(/(?<=\p{Ll})(?=\p{Lu})/gu, ' ')
    .toLowerCase()
    .replace(/^[^\p{L}\p{N}+@!%$:&[]+/u, '')
    .trimEnd();
  if (text.endsWith(';') || wordsIn(text) > most) return [];
  return [...text.matchAll(word)].map((match) => ({
    head: text.slice(0, match.index),
    tail: text.slice(match.index + match[0].length),
  }));
}

const nothingMore = new RegExp(`^(?:[^\\p{L}]+(?:${beside}|changes|only))*[^\\p{L}]*$`, 'iu');

/**
 * True for a short comment that begins or ends with a word for undoing, beside which stands no more than a tool's word,
 * a number or what the part is called: a mark where what follows it takes something away.
 */
export function isLikelyUndoMark(comment: string): boolean {
  return cutsAt(undoWord, comment, 4).some(
    ({ head, tail }) => (nothingMore.test(tail) || headed.test(tail)) && isPrefix(head),
  );
}

function isPrefix(head: string): boolean {
  if (sign.test(head)) return true;
  return (
    !ofSentences.test(head.replaceAll(/(?<=[\p{L}\p{N}])-\p{L}+(?=-)/gu, '')) &&
    (wordsIn(head) < 2 || tool.test(head) || /^\S+$/.test(head))
  );
}

/** "of 001", "from 2 to 1", "script for 001": what is undone, by its number. */
const byNumber = new RegExp(
  `^(?:[^\\p{L}\\p{N}]+${beside})*(?:[^\\p{L}\\p{N}]+(?:(?:of|to|from|for)[^\\p{L}\\p{N}]+)?(?:(?:v|versions?|migrations?|revisions?)[^\\p{L}\\p{N}]*)?\\p{N}[\\p{N}._-]*)+[^\\p{L}\\p{N}]*$`,
  'iu',
);
/** "everything above", "below this line": the file's other part, or this one. */
const byPlace = /(?<!\p{L})(?:above|below)(?!\p{L})/u;
/** What makes a sentence of it, or SQL that is commented out. */
const noHeading =
  /(?<!\p{L})(?:no|not|never|none|cannot|without|if|when|drop|alter|delete|truncate|revoke|create|insert|update|select)(?!\p{L})/u;
const article = /(?<!\p{L})(?:the|a|an|our|this|that|these|those|its|all)(?!\p{L})/u;
const inCapitals = /^\P{L}*(?:DOWN|UNDO|ROLLBACK|REVERT|DOWNGRADE|BACKWARDS?) (?=.*\p{Ll})/u;
/** Words of a statement that are no name. */
const keyword =
  /^(?:alter|cascade|column|concurrently|constraint|default|delete|drop|exists|extension|from|function|if|index|materialized|not|null|on|only|policy|procedure|restrict|revoke|role|schema|sequence|table|trigger|truncate|type|view|where)$/u;

/**
 * True for a comment that begins with a word for undoing and tells what is undone: by its number, by its place in the
 * file, under a heading in capitals, or by the name of what the statement below takes away.
 * @param statement which takes something away
 */
export function isUndoHeading(comment: string, statement: string): boolean {
  return cutsAt(undoWord, comment, 6).some(({ head, tail }) => {
    if (!/^(?:\P{L}|migrat\p{L}*)*$/u.test(head) || noHeading.test(tail)) return false;
    if (byNumber.test(tail) || byPlace.test(tail)) return true;
    if (!/^ \p{L}/u.test(tail) || article.test(tail)) return false;
    if (inCapitals.test(plain(comment)) && wordsIn(tail) <= 3) return true;
    const names = new Set(
      plain(statement)
        .toLowerCase()
        .match(/[\p{L}\p{N}_]+/gu)
        ?.filter((word) => !keyword.test(word)),
    );
    return (tail.match(/[\p{L}\p{N}_]+/gu) ?? []).some((word) => names.has(word));
  });
}

/**
 * The shapes of a short comment with a word for one direction: what is the same in it and in its counterpart for the
 * other one.
 */
export function shapesOf(direction: 'up' | 'undo', comment: string): string[] {
  return allCutsAt(direction === 'up' ? upWord : undoWordOfPair, comment, 6).flatMap(({ head, tail }) => {
    // "step down 42": of a verb with "down", only what has the same number is a pair.
    if (phrasal.test(head)) {
      const number = /^ #?(\p{N}[\p{N}._-]*)\P{L}*$/u.exec(tail)?.[1];
      return number === undefined ? [] : [`${shaped(head)}@#${number}`];
    }
    const first = !/\p{L}/u.test(head);
    const last = !/\p{L}/u.test(tail);
    const prefixed = sign.test(head);
    const start = shaped(head);
    // In the middle, all else has to be the same: "migrate up users" and "migrate down users".
    const shapes = [`${start}@${shaped(tail)}`];
    // sqitch: "Deploy shop:a to pg" and "Revert shop:a from pg".
    if (first && / (?:to|from) \S+$/.test(tail))
      shapes.push(`${start}@${shaped(tail.replace(/ (?:to|from) (?=\S+$)/, ' … '))}`);
    if (prefixed || (last && !first)) shapes.push(`${start}@…`);
    const heading = headed.exec(tail)?.[0];
    if ((first || prefixed) && heading !== undefined) shapes.push(`${start}@${shaped(heading)}…`);
    return shapes;
  });
}

/** Without what differs between two marks of one tool: numbers, blanks and how long an ornament is. */
function shaped(text: string): string {
  return text
    .replaceAll(/[\p{N}\s]+/gu, '')
    .replaceAll(/([^\p{L}])\1+/gu, '$1')
    .replaceAll(/^[-=*#~_]+|[-=*#~_]+$/g, '');
}
