import type { Context as VmContext, Script } from 'node:vm';

import { catchUp, reasonOf, type Clock } from './clock.ts';

/** Milliseconds that the patterns of one attempt may take together: nothing else runs meanwhile, no deadline, no signal. */
export const patternTime = 100;

/** What to do where they take longer. */
export const simplerPattern =
  'make the pattern simpler: nested repetitions such as (a+)+ take exponential time';

/** @throws Error that says what is wrong with it */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch (error) {
    // `Invalid regular expression: /PATTERN/u: WHY`; the pattern may hold a secret, in pieces.
    const why = /\/u: ([\\A-Za-z][A-Za-z{} -]+)$/.exec((error as Error).message)?.[1] ?? 'it cannot be read';
    throw new Error(`${why}; it is a regular expression as JavaScript has them, with the flag u`, {
      cause: error,
    });
  }
}

/** Looks for a pattern in a text; undefined where the time of the attempt is used up. */
export type PatternSearch = (pattern: RegExp, text: string) => Promise<boolean | undefined>;

/** Milliseconds of a search that need not be the pattern's: what stops V8 in time is a thread, which has to start. */
const overhead = 1;

/**
 * Looks for the patterns of one attempt, whose texts may be many, within `patternTime` for all of them.
 * @param signal aborted, nothing more is looked for, as where the time is used up
 */
export function patternSearch(clock: Pick<Clock, 'now'>, signal?: AbortSignal): PatternSearch {
  let left = patternTime;
  return (pattern, text) =>
    inTurn(undefined, async () => {
      if (left <= 0 || signal?.aborted === true) return undefined;
      const began = clock.now();
      const matched = await search(pattern, text, left);
      left -= Math.max(0, clock.now() - began - overhead);
      return matched;
    });
}

/** Ends when the next search may begin. */
let free: Promise<void> = Promise.resolve();

/**
 * One search after another, and signals and timers are heard in between: many steps or targets may search in one moment,
 * and each search holds everything up.
 */
function inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  const mine = free.then(() => {
    if (signal?.aborted) throw reasonOf(signal);
    return work();
  });
  const heard = (): Promise<void> => catchUp();
  free = mine.then(heard, heard);
  return mine;
}

/** Made once: a context takes as long as thousands of small searches. */
let engine: { readonly test: Script; readonly all: Script; readonly context: VmContext } | undefined;

/**
 * Finds a pattern in a text from outside. Node's engine backtracks, and a pattern such as (a+)+$ may take it years: V8
 * is stopped after the time given. Searches that others asked for come first.
 * @returns undefined where it took too long
 * @throws the signal's reason where it is aborted before the search begins
 */
export function matchesWithin(
  pattern: RegExp,
  text: string,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<boolean | undefined> {
  return inTurn(signal, () => search(pattern, text, milliseconds));
}

/**
 * Finds all matches of a pattern with the flag g in a text from outside, as matchesWithin looks for one.
 * @returns undefined where it took too long
 * @throws the signal's reason where it is aborted before the search begins
 */
export function matchesOf(
  pattern: RegExp,
  text: string,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<readonly RegExpExecArray[] | undefined> {
  return inTurn(signal, () => runPattern<RegExpExecArray[]>('all', pattern, text, milliseconds));
}

function search(pattern: RegExp, text: string, milliseconds: number): Promise<boolean | undefined> {
  return runPattern<boolean>('test', pattern, text, milliseconds);
}

async function runPattern<T>(
  what: 'test' | 'all',
  pattern: RegExp,
  text: string,
  milliseconds: number,
): Promise<T | undefined> {
  const vm = await import('node:vm');
  engine ??= {
    test: new vm.Script('pattern.test(text)'),
    all: new vm.Script('[...text.matchAll(pattern)]'),
    context: vm.createContext(),
  };
  const { [what]: script, context } = engine;
  try {
    Object.assign(context, { pattern, text });
    return script.runInContext(context, { timeout: Math.max(1, Math.round(milliseconds)) }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  } finally {
    // The text may be large, or secret.
    Object.assign(context, { pattern: undefined, text: undefined });
  }
}
