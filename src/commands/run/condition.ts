import type { Position, YamlEntry, YamlMap, YamlNode } from '../../clients/yaml/nodes.ts';
import { reasonOf } from '../../core/clock.ts';
import type { Context, Environment } from '../../core/context.ts';
import { quotedValue, takesVariable } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { matchesWithin, parsePattern, patternTime, simplerPattern } from '../../core/pattern.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { contactVolumes } from '../../fs/contact.ts';
import { expandReferences } from './expand.ts';
import { mostOfName } from './keys.ts';

export const variablePattern = '^[A-Za-z_][A-Za-z0-9_]*$';

/** More of them at one step are a program. */
export const mostConditions = 20;

/** What a condition may be about, and by which other keys it is judged: at most one of them. */
export const conditionKeys = {
  variable: ['equals', 'matches'],
  path: [],
  empty: [],
  file: ['contains', 'matches'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

type Subject = keyof typeof conditionKeys;

const subjects = Object.keys(conditionKeys) as readonly Subject[];

/** One condition of a step. */
export interface Condition {
  /** What is looked at: undefined where it is a variable, which is known when the plan is read. */
  readonly path: string | undefined;
  /** Whether it holds. @throws UsageError, Failure where that cannot be told */
  readonly holds: (signal: AbortSignal) => Promise<boolean>;
  /** What is so where it holds, and where it does not, as it is written: with `$(NAME)`, and without what that holds. */
  readonly words: { readonly yes: string; readonly no: string };
}

interface Reading {
  readonly environment: Environment;
  /** Gets what is wrong, with its place. */
  readonly tell: (at: Position, text: string) => void;
}

/**
 * Reads what a step's `when` says: the name of a variable, a condition, or a list of them, all of which must hold.
 * @returns undefined where something is wrong with it, which is told
 */
export async function readConditions(
  node: YamlNode,
  reading: Reading,
): Promise<readonly Condition[] | undefined> {
  const nodes = node.kind === 'list' ? node.items : [node];
  if (nodes.length === 0 || nodes.length > mostConditions) {
    reading.tell(
      node.at,
      nodes.length === 0
        ? `when: the list is empty; ${accepted}`
        : `when: ${nodes.length} conditions; at most ${mostConditions} are allowed`,
    );
    return undefined;
  }
  const found: Condition[] = [];
  for (const one of nodes) {
    const condition = await readCondition(one, reading);
    if (condition !== undefined) found.push(condition);
  }
  return found.length === nodes.length ? found : undefined;
}

const accepted =
  'write the name of a variable, or a condition such as { variable: MODE, equals: worker }, { path: /data/done } or { not: { path: /data/done } }';

async function readCondition(node: YamlNode, reading: Reading): Promise<Condition | undefined> {
  const wrong = (at: Position, text: string): undefined => {
    reading.tell(at, `when: ${text}`);
  };
  if (node.kind === 'scalar') {
    if (node.value === null) return wrong(node.at, `nothing is written here; ${accepted}`);
    return typeof node.value === 'string' && isVariable(node.text)
      ? setCondition(node.text, reading.environment)
      : wrong(node.at, `${quotedValue(node.text, mostOfName)} is not the name of an environment variable`);
  }
  if (node.kind === 'list') return wrong(node.at, `a list stands within a list; ${accepted}`);
  const negation = entryOf(node, 'not');
  if (negation === undefined) return readTest(node, reading, wrong);
  const other = node.entries.find((entry) => entry !== negation);
  if (other !== undefined)
    return wrong(other.at, `${other.key} stands beside not; write it below: { not: { … } }`);
  const inner = negation.value;
  if (inner.kind === 'list')
    return wrong(inner.at, 'not takes one condition; write not: before each of several');
  if (inner.kind === 'map' && entryOf(inner, 'not') !== undefined)
    return wrong(inner.at, 'not stands within not; leave out both');
  const condition = await readCondition(inner, reading);
  return condition === undefined ? undefined : negated(condition);
}

type Wrong = (at: Position, text: string) => undefined;

async function readTest(node: YamlMap, reading: Reading, wrong: Wrong): Promise<Condition | undefined> {
  const about = node.entries.filter(({ key }) => isSubject(key));
  const [first, second] = about;
  if (second !== undefined)
    return wrong(
      second.at,
      `${first?.key} and ${second.key} are two conditions; write a list of both: all of them must hold`,
    );
  const subject = first?.key as Subject | undefined;
  const known = subject === undefined ? [...subjects, 'not'] : [subject, ...conditionKeys[subject]];
  const unknown = node.entries.find(({ key }) => !known.includes(key));
  if (unknown !== undefined) return wrong(unknown.at, await unknownWords(unknown.key, known, subject));
  if (first === undefined || subject === undefined)
    return wrong(node.at, `the condition is empty; ${accepted}`);
  const [judge, more] = node.entries.filter((entry) => entry !== first);
  if (more !== undefined)
    return wrong(more.at, `${judge?.key} and ${more.key} cannot be combined; write a list of two conditions`);
  if (subject === 'file' && judge === undefined)
    return wrong(
      node.at,
      'file needs contains or matches beside it; for a file that is there, whatever is in it, write path',
    );
  return makeCondition(subject, first, judge, reading, wrong);
}

async function unknownWords(
  key: string,
  known: readonly string[],
  subject: Subject | undefined,
): Promise<string> {
  const { nearest } = await import('../../clients/nearest.ts');
  const near = nearest(key, known);
  const advice = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`;
  return `unknown key ${quotedValue(key)}${subject === undefined ? '' : ` beside ${subject}`}; ${advice}`;
}

function makeCondition(
  subject: Subject,
  first: YamlEntry,
  judge: YamlEntry | undefined,
  { environment }: Reading,
  wrong: Wrong,
): Condition | undefined {
  const written = textOf(first, wrong);
  const wanted = judge === undefined ? undefined : textOf(judge, wrong);
  if (written === undefined || (judge !== undefined && wanted === undefined)) return undefined;
  const is = (yes: string, no: string, holds: Condition['holds'], path?: string): Condition => ({
    path,
    holds,
    words: { yes: `${written} ${yes}`, no: `${written} ${no}` },
  });
  const text = expandReferences(wanted ?? '', environment);
  const pattern = judge?.key === 'matches' ? patternOf(text, judge.value.at, wrong) : undefined;
  if (judge?.key === 'matches' && pattern === undefined) return undefined;
  const search = async (content: string, signal: AbortSignal): Promise<boolean> =>
    searched(pattern as RegExp, content, `${written} matches ${wanted}`, signal);
  const shown = JSON.stringify(wanted);
  if (subject === 'variable') {
    if (!isVariable(written))
      return wrong(first.value.at, `${quotedValue(written, mostOfName)} is not the name of a variable`);
    const value = valueOf(written, environment);
    if (judge === undefined) return setCondition(written, environment);
    if (pattern !== undefined)
      return is(`matches ${wanted}`, `does not match ${wanted}`, (signal) => search(value, signal));
    if (refused('name', text, judge, wrong)) return undefined;
    return is(`is ${shown}`, `is not ${shown}`, () => Promise.resolve(value === text));
  }
  const path = expandReferences(written, environment);
  if (refused('path', path, first, wrong)) return undefined;
  const place = { path, written };
  const look = () => import('./look.ts');
  if (subject === 'path')
    return is('is there', 'is not there', async () => (await look()).isThere(place), path);
  if (subject === 'empty')
    return is('is empty', 'is not empty', async () => (await look()).isEmptyFolder(place), path);
  const inContent = async (judgeContent: (content: string) => boolean | Promise<boolean>) => {
    const content = (await look()).contentThere(place);
    return content !== undefined && judgeContent(content);
  };
  if (pattern !== undefined)
    return is(
      `matches ${wanted}`,
      `does not match ${wanted}`,
      (signal) => inContent((content) => search(content, signal)),
      path,
    );
  if (text === '') return wrong(judge?.value.at ?? first.at, 'contains: the text is empty');
  const holdsText = (content: string): boolean => content.includes(text);
  return is(`holds ${shown}`, `does not hold ${shown}`, () => inContent(holdsText), path);
}

function setCondition(name: string, environment: Environment): Condition {
  return {
    path: undefined,
    holds: () => Promise.resolve(valueOf(name, environment) !== ''),
    words: { yes: `${name} is set`, no: `${name} is not set` },
  };
}

function negated({ path, holds, words: { yes, no } }: Condition): Condition {
  return { path, holds: async (signal) => !(await holds(signal)), words: { yes: no, no: yes } };
}

/** What is not set counts as empty, as in a shell's `[ "$MODE" = … ]`. */
function valueOf(name: string, environment: Environment): string {
  return Object.hasOwn(environment, name) ? (environment[name] ?? '') : '';
}

/** A wait looks again where a machine was too busy; a decision is made once, and must not depend on that. */
const mostSearches = 10;

/** @throws UsageError where no try is done in time, or the signal's reason */
async function searched(
  pattern: RegExp,
  content: string,
  what: string,
  signal: AbortSignal,
): Promise<boolean> {
  for (let tries = 0; tries < mostSearches; tries += 1) {
    const found = await matchesWithin(pattern, content, patternTime, signal);
    if (found !== undefined) return found;
  }
  throw new UsageError(`when ${what}: it takes longer than ${patternTime}ms; ${simplerPattern}`);
}

function patternOf(text: string, at: Position, wrong: Wrong): RegExp | undefined {
  try {
    return parsePattern(text);
  } catch (error) {
    return wrong(at, `matches: ${(error as Error).message}`);
  }
}

function refused(meaning: 'name' | 'path', text: string, { key, value }: YamlEntry, wrong: Wrong): boolean {
  try {
    // That a value is empty, or blank, can be asked for.
    if (meaning === 'path' || text.trim() !== '') refuseUnexpanded(meaning, text, key);
    return false;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    wrong(value.at, error.lines.join('; '));
    return true;
  }
}

function textOf({ key, value }: YamlEntry, wrong: Wrong): string | undefined {
  if (value.kind === 'scalar' && value.value !== null) return value.text;
  const got = value.kind === 'scalar' ? 'nothing' : value.kind === 'list' ? 'a list' : 'a mapping';
  return wrong(value.at, `${key}: expected a string or a number, got ${got}`);
}

function isSubject(key: string): key is Subject {
  return Object.hasOwn(conditionKeys, key);
}

function isVariable(text: string): boolean {
  return new RegExp(variablePattern).test(text);
}

function entryOf({ entries }: YamlMap, name: string): YamlEntry | undefined {
  return entries.find(({ key }) => key === name);
}

/** Every text in a part of a plan, such as `when`: for what is looked for in all texts. */
export function textsOfPart(node: YamlNode): readonly { readonly text: string; readonly at: Position }[] {
  if (node.kind === 'scalar') return [{ text: node.text, at: node.at }];
  if (node.kind === 'list') return node.items.flatMap(textsOfPart);
  const variable = entryOf(node, 'variable')?.value;
  return node.entries.flatMap(({ key, value }) => {
    // As in one word: a name, which is no secret.
    if (takesVariable(key)) return textsOfPart(value).map(({ text, at }) => ({ text: `${key}=${text}`, at }));
    if (key !== 'equals' || variable?.kind !== 'scalar' || value.kind !== 'scalar') return textsOfPart(value);
    // As `PASSWORD=…` in a command: what a variable of that name is compared with is the secret.
    return [
      { text: `${variable.text}=${value.text}`, at: value.at },
      { text: value.text, at: value.at },
    ];
  });
}

/**
 * Why a step is left out: the first of its conditions that does not hold; undefined where all do.
 * @throws UsageError, Failure, or the signal's reason
 */
export async function whyLeftOut(
  conditions: readonly Condition[],
  context: Pick<Context, 'signal'>,
): Promise<string | undefined> {
  const paths = conditions.flatMap(({ path }) => (path === undefined ? [] : [path]));
  if (paths.length > 0) await contactVolumes(paths, context);
  const { signal } = context;
  for (const { holds, words } of conditions) {
    if (signal.aborted) throw reasonOf(signal);
    if (!(await holds(signal))) return words.no;
  }
  return undefined;
}
