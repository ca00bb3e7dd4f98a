import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Outcome } from '../../core/outcome.ts';
import { copyTrees } from './copy.ts';
import type { copyOptions } from './options.ts';
import type { SourcesAndDestination } from './positionals.ts';

/** Copies the sources to the destination. */
export async function runCopy(
  { options: given, positionals: { sources, destination } }: Input<typeof copyOptions, SourcesAndDestination>,
  context: Context,
): Promise<Outcome> {
  return copyTrees(
    {
      sources,
      destination,
      ifEmpty: given['if-empty'],
      noClobber: given['no-clobber'],
      delete: given.delete,
      atomic: given.atomic,
      dereference: given.dereference,
      checksum: given.checksum,
      mode: given.mode,
      owner: given.owner,
      exclude: given.exclude,
      crossMounts: !given['one-file-system'],
      dryRun: given['dry-run'],
    },
    context,
  );
}
