import { readdirSync, statSync } from 'node:fs';

import type { Clock } from '../../../../core/clock.ts';
import { patternSearch, patternTime, simplerPattern } from '../../../../core/pattern.ts';
import { formatBytes } from '../../../../core/size.ts';
import { LinkInPath } from '../../../../fs/directory/pinned-path.ts';
import { InputRefused, readInput } from '../../../../fs/input-file.ts';
import { notYet, satisfied, type Answer } from '../../../../wait/attempt.ts';

export interface FileDemands {
  readonly path: string;
  readonly absent: boolean;
  readonly notEmpty: boolean;
  readonly texts: readonly string[];
  readonly patterns: readonly RegExp[];
}

/** What an attempt has from outside. */
interface Means {
  readonly clock: Pick<Clock, 'now'>;
  readonly signal: AbortSignal;
}

/** Bytes of a file that is looked into. */
const mostContent = 1 << 20;

/** One look at a file. It is opened only where its content is asked for: a pipe or device would wait, or do something. */
export async function attemptFile(demands: FileDemands, means: Means): Promise<Answer> {
  try {
    return await look(demands, means);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return demands.absent
        ? satisfied('is not there')
        : notYet('is not there', {
            absent: true,
            hint: 'is its volume mounted in this container, at that path? whoever makes the file has not done so yet',
          });
    if (error instanceof LinkInPath || error instanceof InputRefused) return notYet(error.message);
    if (code === '') throw error;
    return notYet(`cannot be looked at (${code})`, {
      hint:
        code === 'EACCES'
          ? 'this user may not enter a folder of the path, or read the file: look at runAsUser and fsGroup'
          : undefined,
    });
  }
}

async function look(
  { path, absent, notEmpty, texts, patterns }: FileDemands,
  { clock, signal }: Means,
): Promise<Answer> {
  const stat = statSync(path);
  if (absent) return notYet('is still there');
  if (notEmpty && stat.isDirectory() && readdirSync(path).length === 0) return notYet('is an empty folder');
  if (notEmpty && stat.isFile() && stat.size === 0) return notYet('is empty');
  if (texts.length === 0 && patterns.length === 0)
    return satisfied(stat.isFile() ? `is there (${formatBytes(stat.size)})` : 'is there');
  const content = readInput(path, mostContent).toString('utf8');
  const missing = texts.find((text) => !content.includes(text));
  if (missing !== undefined) return notYet(`does not hold ${JSON.stringify(missing)}`);
  const search = patternSearch(clock, signal);
  for (const pattern of patterns) {
    const matched = await search(pattern, content);
    if (matched === undefined && signal.aborted)
      return notYet(`waits to be looked through for ${pattern.source}`, { hint: simplerPattern });
    if (matched === undefined)
      return notYet(`${pattern.source} takes longer than ${patternTime}ms in it`, { hint: simplerPattern });
    if (!matched) return notYet(`does not match ${pattern.source}`);
  }
  return satisfied(`holds what it must (${formatBytes(stat.size)})`);
}
