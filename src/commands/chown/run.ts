import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { everyOne, type Outcome } from '../../core/outcome.ts';
import { chownTrees, matcher } from './chown.ts';
import type { chownOptions } from './options.ts';
import { pathsOf, type OwnerAndPaths } from './positionals.ts';
import { checkPath } from './target.ts';

/**
 * Checks what can be told without a file.
 * @throws UsageError, as runChown does for the same
 */
export async function checkChown(
  { options: given, positionals }: Input<typeof chownOptions, OwnerAndPaths>,
  { host }: Surroundings,
): Promise<void> {
  everyOne(pathsOf(positionals, given), (path) => checkPath(path, host.script));
  await matcher(given.exclude);
}

/** Gives every path its owner and modes. */
export async function runChown(
  { options: given, positionals }: Input<typeof chownOptions, OwnerAndPaths>,
  context: Context,
): Promise<Outcome> {
  const paths = pathsOf(positionals, given);
  const { owner } = positionals;
  return chownTrees(
    {
      owner: given.reference === undefined ? owner : undefined,
      reference: given.reference,
      from: given.from,
      paths,
      recursive: given.recursive,
      trustTop: given.policy === 'root-mismatch',
      modes: {
        mode: given.mode,
        file: given['file-mode'],
        directory: given['dir-mode'],
        setgid: given.setgid,
      },
      create: given.create,
      ifExists: given['if-exists'],
      crossMounts: !given['one-file-system'],
      exclude: given.exclude,
      dryRun: given['dry-run'],
    },
    context,
  );
}
