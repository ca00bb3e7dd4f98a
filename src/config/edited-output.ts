import { catchUp } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { contactVolumes } from '../fs/contact.ts';
import { modeText } from '../fs/publish/attributes.ts';
import { previewEdit, stageEdit, type Edit } from '../fs/publish/edited-file.ts';
import type { Intent } from '../fs/publish/open-target.ts';
import { commitAll, type Published, type Staged } from '../fs/publish/published.ts';
import { checkFilePlace } from '../fs/publish/target-checks.ts';
import {
  intentOf,
  type DryFile,
  type NamedOutput,
  type OutputContext,
  type OutputSettings,
} from './outputs.ts';

/**
 * Writes into one file that is there. Its place is checked beforehand, as of every output.
 * @throws as publishOutput, and UsageError of the edit
 */
export async function publishEdited(
  output: NamedOutput,
  secret: boolean,
  edit: Edit,
  settings: OutputSettings,
  context: OutputContext & Pick<Context, 'log'>,
): Promise<Published> {
  await catchUp(context.signal);
  const { path, intent } = editedPlace({ ...output, secret }, settings);
  await contactVolumes([output.folder], context);
  checkFilePlace(path, intent);
  await using stage = disposable(await stageEdit(path, edit, intent, context));
  const published = await commitAll([stage], context.signal);
  return { ...published, warnings: [...openSecret(path, stage.mode, secret), ...published.warnings] };
}

/** What an edit would make: for `--dry-run`. */
export function previewEdited(
  output: NamedOutput,
  secret: boolean,
  edit: Edit,
  settings: OutputSettings,
): { readonly report: Pick<DryFile, 'path' | 'size' | 'mode'>; readonly warnings: readonly string[] } {
  const { path, intent } = editedPlace({ ...output, secret }, settings);
  checkFilePlace(path, intent);
  const { bytes, mode } = previewEdit(path, edit, intent);
  return {
    report: { path, size: bytes.length, mode: modeText(mode) },
    warnings: openSecret(path, mode, secret),
  };
}

function editedPlace(
  output: NamedOutput,
  settings: OutputSettings,
): { readonly path: string; readonly intent: Intent } {
  return { path: `${output.folder}/${output.name}`, intent: intentOf([output], settings) };
}

function disposable<S extends Staged>(stage: S): S & AsyncDisposable {
  return { ...stage, [Symbol.asyncDispose]: () => stage.discard() };
}

function openSecret(path: string, mode: number, secret: boolean): string[] {
  if (!secret || (mode & 0o004) === 0) return [];
  return [`${path} holds a secret now, and its mode ${modeText(mode)} lets everybody read it`];
}
