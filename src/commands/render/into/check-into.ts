import { UsageError } from '../../../core/outcome.ts';
import type { RenderOptions } from '../options.ts';

/** Whether a file that is there is to be written into. @throws UsageError where options do not go together */
export function checkInto(options: RenderOptions): boolean {
  const { block, comment, after, before, 'append-lines': lines } = options;
  const wrong = (said: string): UsageError => new UsageError(said);
  if (block === undefined) {
    for (const [name, given] of Object.entries({ comment, after, before }))
      if (given !== undefined) throw wrong(`--${name} is for --block NAME, which is not given`);
    if (!lines) return false;
  } else {
    if (lines) throw wrong('--block and --append-lines cannot be combined: run render twice');
    if (after !== undefined && before !== undefined)
      throw wrong('use --after or --before, not both: the block has one place');
  }
  const way = block === undefined ? '--append-lines' : '--block';
  for (const name of ['mode', 'owner'] as const)
    if (options[name] !== undefined)
      throw wrong(
        `--${name} cannot be combined with ${way}: the file keeps the mode and the owner that it has`,
      );
  return true;
}
