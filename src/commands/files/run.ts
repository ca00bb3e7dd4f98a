import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { everyOne, type Outcome, printed, UsageError } from '../../core/outcome.ts';
import { contactVolumes } from '../../fs/contact.ts';
import { refusedPath } from '../../fs/directory/forbidden-places.ts';
import { type Action, pathsOfAction, refuseUndone, shownAction } from './action.ts';
import { doActions, lookAtActions } from './do-actions.ts';
import type { filesOptions } from './options.ts';

type FilesInput = Input<typeof filesOptions, readonly Action[]>;

/**
 * Checks what can be told without a file.
 * @throws UsageError, as runFiles does for the same
 */
export function checkFiles(
  { positionals: actions }: Pick<FilesInput, 'positionals'>,
  { host }: Pick<Surroundings, 'host'>,
): void {
  everyOne(actions, (action) => {
    const given = action.kind === 'move' ? [action.from, action.path] : [action.path];
    for (const path of given) {
      const why = refusedPath(path, host.script, action.kind === 'remove' ? 'tree' : 'names');
      if (why !== undefined) throw new UsageError(`${shownAction(action)}: ${why}`);
    }
  });
  refuseUndone(actions);
}

/** Does what is listed, in its order, once the places of all were looked at. */
export async function runFiles(input: FilesInput, context: Context): Promise<Outcome> {
  checkFiles(input, context);
  const { positionals: actions, options } = input;
  await contactVolumes(actions.flatMap(pathsOfAction), context);
  const settings = { ifExists: options['if-exists'], script: context.host.script };
  const looked = await lookAtActions(actions, settings, options['dry-run'], context);
  if (!options['dry-run']) return await doActions(actions, settings, context);
  if (!Array.isArray(looked)) return looked as Outcome;
  context.stdout(`${JSON.stringify({ actions: looked })}\n`);
  return printed('printed what would change');
}
