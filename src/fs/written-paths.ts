import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

import type { AnyCommand } from '../core/command.ts';
import type { Context } from '../core/context.ts';
import type { Options } from '../core/options/option.ts';
import type { Given } from '../core/options/resolve-options.ts';
import { UsageError } from '../core/outcome.ts';
import type { StepInput } from '../core/step.ts';
import { contactVolumes } from './contact.ts';

/** The paths of a command line, or of a step; among those that are read there may be words that are none. */
export interface GivenPaths {
  readonly written: readonly Given[];
  readonly read: readonly Given[];
}

/**
 * Finds the paths among what was given; nothing is looked at.
 * @param given what was given for each option
 * @param words what was given beside them, paths or not
 */
export function givenPaths(
  options: Options,
  given: (name: string) => readonly Given[],
  words: readonly Given[],
): GivenPaths {
  const written: Given[] = [];
  const read: Given[] = words.map(pathIn);
  for (const [name, option] of Object.entries(options)) {
    if (option.writes === true) written.push(...given(name));
    else if (/\b(PATH|FILE|DIR)\b/.test(option.placeholder))
      read.push(...given(name).map(option.placeholder.includes('SOURCE') ? pathIn : (one) => one));
  }
  return { written, read };
}

/** The paths of a step's command, and perhaps words that are none. */
export function pathsOfStep(command: AnyCommand, { options, positionals }: StepInput): string[] {
  const given = new Map(options);
  const { written, read } = givenPaths(command.options, (key) => given.get(key) ?? [], positionals);
  return [...written, ...read].map(({ text }) => text);
}

/**
 * Looks whether a file that is to be written is one that is read, or is written for another purpose; before that, it
 * waits until the volumes of all of them answer.
 * @throws UsageError, or as contactVolumes
 */
export async function refuseSharedPaths(
  { written, read }: GivenPaths,
  context: Pick<Context, 'signal'>,
): Promise<void> {
  await contactVolumes(
    [...written, ...read].map(({ text }) => text),
    context,
  );
  refuseOverwriting(written, read);
}

/** `NAME=`, `file:` and what picks a part of a file are no part of its path. */
function pathIn({ text, origin }: Given): Given {
  return {
    text: text.replace(/^(?:[A-Za-z_]\w*=)?file:|^[A-Za-z_]\w*=/, '').replace(/[?#].*$/s, ''),
    origin,
  };
}

/**
 * @param written files that are written, each by a path that is not the others'
 * @throws UsageError where one of them is another one of them, or one of those that are read
 */
export function refuseOverwriting(written: readonly Given[], read: readonly Given[]): void {
  const seen = new Map<string, Given>();
  for (const own of written) {
    const keys = keysOf(own.text);
    const other = keys.map((key) => seen.get(key)).find((found) => found !== undefined);
    if (other !== undefined) throw new SharedPath(own, other);
    for (const key of keys) seen.set(key, own);
  }
  if (seen.size === 0) return;
  for (const one of read) {
    const other = keysOf(one.text)
      .map((key) => seen.get(key))
      .find((found) => found !== undefined);
    if (other !== undefined) throw new SharedPath(one, other);
  }
}

/** Two purposes for one file. */
export class SharedPath extends UsageError {
  /** Whether one of them is to hold the termination message: it must not go there then. */
  readonly ofLastWords: boolean;

  constructor(one: Given, written: Given) {
    super(
      `${one.origin}: ${one.text} is the same file as ${written.text} (${written.origin}), which is written; name another file`,
    );
    this.ofLastWords = [one, written].some(({ origin }) => /termination.log/i.test(origin));
  }
}

/** By which a file is known under other spellings and through links; none of a folder. */
function keysOf(path: string): string[] {
  if (path === '' || path.endsWith('/')) return [];
  const whole = resolve(path);
  const there = idOf(whole);
  if (there === 'no file') return [];
  const folder = idOf(dirname(whole), true);
  return [
    whole,
    ...(folder === undefined ? [] : [`${folder}/${basename(whole)}`]),
    ...(there === undefined ? [] : [there]),
  ];
}

function idOf(path: string, folder = false): string | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    return folder || stat.isFile() ? `${stat.dev}-${stat.ino}` : 'no file';
  } catch {
    return undefined;
  }
}
