import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { everyOne, UsageError, type Outcome } from '../../core/outcome.ts';
import { absolutePath } from '../../fs/directory/pinned-path.ts';
import { checkModes, checkPatterns, copyTrees } from './copy.ts';
import { checkDestination } from './destination.ts';
import { checkPattern } from './glob.ts';
import type { copyOptions } from './options.ts';
import type { SourcesAndDestination } from './positionals.ts';
import { checkSource } from './sources.ts';

/**
 * Checks what can be told without a file.
 * @throws UsageError, as runCopy does for the same
 */
export async function checkCopy(
  { options: given, positionals: { sources, destination } }: Input<typeof copyOptions, SourcesAndDestination>,
  { host }: Surroundings,
): Promise<void> {
  everyOne(sources, checkSource);
  everyOne(sources, checkPattern);
  const whole = checkDestination(destination, { script: host.script, deletes: given.delete });
  const same = sources.find((source) => absolutePath(source) === whole);
  if (same !== undefined) throw new UsageError(`${same} and ${destination} are the same path`);
  checkModes({ delete: given.delete, noClobber: given['no-clobber'] });
  await checkPatterns(given.exclude);
}

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
      ifExists: given['if-exists'],
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
