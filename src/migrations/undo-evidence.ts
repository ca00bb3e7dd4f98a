import { UsageError } from '../core/outcome.ts';
import { split, type Statement } from './split.ts';

/** What the statements of a part tell of the comments in it. */
export interface Evidence {
  /**
   * True where something that was made above the offset is taken away below it.
   * @param directly by one of the statements that take away and follow with no other statement before them
   */
  takenBack(at: number, directly: boolean): boolean;
  /** True in a body of statements that BEGIN ATOMIC begins, as in a `$$` body. */
  inBody(at: number): boolean;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** No statement names what it makes or takes away later than this. */
const looked = 4000;

/**
 * Reads the statements of a part. What cannot be cut into statements is refused before it runs, so that the reading ends
 * there.
 * @param text as Latin-1
 */
export function evidenceIn(text: string, where: string, from: number, to: number): Evidence {
  const made = new Map<string, number>();
  const taken: Span[] = [];
  const directly: Span[] = [];
  const bodies: Span[] = [];
  /** After the last statement that is neither for the session nor takes anything away. */
  let other = from;
  for (const statement of statementsIn(text, where, from, to)) {
    const { start, end, words } = statement;
    if (words.includes('ATOMIC')) {
      const body = text.slice(start, end).search(/\bbegin\s+atomic\b/i);
      if (body >= 0) bodies.push({ from: start + body, to: end });
    }
    const said = text
      .slice(start, Math.min(end, start + looked))
      .replaceAll(/--[^\r\n]*|\/\*[^]*?\*\//g, ' ')
      .replaceAll(/\s+/g, ' ');
    const gone = takenAwayBy(said)
      .map((key) => made.get(key))
      .filter((at) => at !== undefined);
    const first = gone.length === 0 ? undefined : Math.min(...gone);
    if (first !== undefined) {
      taken.push({ from: first, to: start });
      directly.push({ from: Math.max(first, other), to: start });
    }
    for (const key of madeBy(said)) if (!made.has(key)) made.set(key, end);
    if (!/^(?:begin|start|set|drop|delete|truncate|revoke|alter\b.*\b(?:drop|rename))\b/i.test(said))
      other = end;
  }
  const holds = (spans: readonly Span[], at: number): boolean =>
    spans.some((span) => at >= span.from && at < span.to);
  const all = merged(taken);
  const near = merged(directly);
  return {
    takenBack: (at, onlyDirectly) => holds(onlyDirectly ? near : all, at),
    inBody: (at) => holds(bodies, at),
  };
}

function* statementsIn(text: string, where: string, from: number, to: number): Generator<Statement> {
  const part = to === text.length ? text : text.slice(0, to);
  try {
    yield* split(part, where, true, from);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
}

/** Overlapping spans as one, so that a file of a thousand drops is not gone over for each comment. */
function merged(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last !== undefined && span.from <= last.to)
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else result.push(span);
  }
  return result;
}

const name = String.raw`(?:"(?:[^"]|"")*"|[\w$\x80-\xff]+)`;
const qualified = `${name}(?: ?\\. ?${name})*`;
/** Words before and behind an object's kind. */
const extras = String.raw`(?:(?:or replace|unique|unlogged|materialized|foreign|recursive|constraint|event|trusted|procedural|concurrently|if not exists|if exists|only) )*`;
const object = `${extras}\\w+ ${extras}`;
const creates = new RegExp(`^create ${object}(${qualified})`, 'i');
const drops = new RegExp(`^drop ${object}(${qualified}(?: ?(?:\\([^)]*\\))? ?, ?${qualified})*)`, 'i');
const inserts = new RegExp(`^insert into (${qualified})`, 'i');
const deletes = new RegExp(
  `^(?:delete from|truncate(?: table)?) ${extras}(${qualified}(?: ?, ?${qualified})*)`,
  'i',
);
const alters = new RegExp(`^alter (?:foreign )?\\w+ ${extras}(${qualified}) (.*)`, 'is');
const renames = new RegExp(
  `^rename (?:(?:column|constraint|value|attribute) )?(?:(${name}) )?to (${name})`,
  'i',
);
const actions = (word: string): RegExp =>
  new RegExp(`(?:^|,) ?${word} (?:(?:column|constraint|attribute) )?${extras}(${name})`, 'gi');
const adds = actions('add');
const removes = actions('drop');
const settings = (word: string): RegExp =>
  new RegExp(`(?:^|,) ?alter (?:column )?(${name}) ${word} (not null|default)`, 'gi');
const sets = settings('set');
const unsets = settings('drop');

/** The last part of a name, as SQL reads it. */
function plain(qualifiedName: string): string {
  const last = new RegExp(`${name}$`).exec(qualifiedName)?.[0] ?? '';
  return last.startsWith('"') ? last.slice(1, -1) : last.toLowerCase();
}

function namesIn(list: string): string[] {
  return list
    .replaceAll(/\([^)]*\)/g, '')
    .split(/ ?, ?/)
    .map((one) => plain(one.trim()));
}

function keysOfAlter(said: string, added: RegExp, set: RegExp, renamed: 'made' | 'taken'): string[] {
  const [, table = '', rest = ''] = alters.exec(said) ?? [];
  if (rest === '') return [];
  const of = plain(table);
  const keys = [
    ...[...rest.matchAll(added)].map(([, one = '']) => `${of}.${plain(one)}`),
    ...[...rest.matchAll(set)].map(([, one = '', what = '']) => `${of}.${plain(one)} ${what.toLowerCase()}`),
  ];
  const [whole, old, now = ''] = renames.exec(rest) ?? [];
  if (whole === undefined) return keys;
  const [from, to] = [old === undefined ? of : plain(old), plain(now)];
  const within = old === undefined ? '' : `${of}.`;
  keys.push(renamed === 'made' ? `${within}${from} to ${to}` : `${within}${to} to ${from}`);
  return keys;
}

/** What a statement makes, each by a key that the statement has too which takes it away. */
function madeBy(said: string): string[] {
  const created = creates.exec(said)?.[1];
  if (created !== undefined) return [plain(created)];
  const filled = inserts.exec(said)?.[1];
  if (filled !== undefined) return [`rows of ${plain(filled)}`];
  if (/^grant /i.test(said)) return [rightsOf(said)];
  return keysOfAlter(said, adds, sets, 'made');
}

function takenAwayBy(said: string): string[] {
  const dropped = drops.exec(said)?.[1];
  if (dropped !== undefined) return namesIn(dropped);
  const emptied = deletes.exec(said)?.[1];
  if (emptied !== undefined) return namesIn(emptied).map((one) => `rows of ${one}`);
  if (/^revoke /i.test(said)) return [rightsOf(said)];
  return keysOfAlter(said, removes, unsets, 'taken');
}

/** "GRANT SELECT ON a TO r" and "REVOKE SELECT ON a FROM r" alike. */
function rightsOf(said: string): string {
  return `rights ${said
    .toLowerCase()
    .replace(/^(?:grant|revoke) /, '')
    .replace(/ (?:with grant option|cascade|restrict)$/, '')
    .replace(/ (?:to|from) /, ' … ')}`;
}
