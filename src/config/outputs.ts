import { basename, dirname, resolve } from 'node:path';

import { catchUp } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { exitStatus } from '../core/exit-status.ts';
import { Failure, failed, UsageError } from '../core/outcome.ts';
import { contactVolumes } from '../fs/contact.ts';
import { stageFile } from '../fs/publish/atomic-file.ts';
import { contentMode, type FileOwner, secretMode } from '../fs/publish/attributes.ts';
import { checkRelativePath } from '../fs/publish/file-names.ts';
import { stageSet } from '../fs/publish/file-set.ts';
import type { Intent } from '../fs/publish/open-target.ts';
import { commitAll, type Published, type Staged } from '../fs/publish/published.ts';
import {
  checkFilePlace,
  checkSetPlace,
  identityOfFolder,
  isManaged,
  sharingWarning,
} from '../fs/publish/target-checks.ts';
import type { FileContent } from '../fs/publish/write.ts';
import { FormatError } from './formats/entries.ts';
import { type Content, type FileFormat, formatFile, formatFileSet } from './formats/format.ts';

/** One file, or with format `files` one folder of files, that a command line or a spec asks for. */
export interface Output {
  /** Where readers look; everything of one folder appears at once. */
  readonly folder: string;
  /** The file's path below the folder; undefined for format `files`. */
  readonly name: string | undefined;
  /** With format `files`: the folder in that folder that they go to; unset, itself. */
  readonly below?: string | undefined;
  readonly format: FileFormat | 'files';
  readonly mode?: number | undefined;
  readonly owner?: FileOwner | undefined;
  /** Is one of its sources a secret, as far as is known before fetching? */
  readonly secret: boolean;
  /** Where it was asked for: `--to`, `fetch.yaml:3:5`. */
  readonly origin: string;
}

/** An output that is one file. */
export interface NamedOutput extends Output {
  readonly name: string;
}

/** What was fetched for one output. */
export interface OutputContent {
  readonly content: Content;
  /** Known for certain now. */
  readonly secret: boolean;
  /** Where it came from, for words. */
  readonly source?: string;
}

export interface OutputSettings {
  readonly allowDisk: boolean;
  /** True where what is a secret is one whatever the user says: there is no `--public`. */
  readonly alwaysSecret?: boolean;
  /** Names the publication, the same on every run: only what the same one left behind is removed. */
  readonly set: string;
  /** False where the next run compares and makes again what a loss of power took. */
  readonly lasting?: boolean;
  /** True where nobody reads it but later runs, which are the same user's. */
  readonly forRuns?: boolean;
}

/** One file ready to be written. */
interface Rendered {
  readonly folder: string;
  readonly path: string;
  readonly file: FileContent;
  readonly secret: boolean;
  /** Who reads it needs no share in its mode: the kubelet is root. */
  readonly forKubelet: boolean;
}

export type OutputContext = Pick<Context, 'signal' | 'clock' | 'random' | 'host'>;

/** Reads `--to`: a file's path, or with format `files` a folder's. @throws UsageError where a file's path names none */
export function outputTo(path: string, rest: Omit<Output, 'folder' | 'name'>): Output {
  if (path === '') throw new UsageError(`${rest.origin}: the path is empty`);
  const whole = resolve(path);
  if (rest.format === 'files') return { ...rest, folder: whole, name: undefined };
  if (path.endsWith('/') || whole === '/') {
    throw new UsageError(
      `${rest.origin}: ${path} names a folder; name a file in it, or write one file per field with --format files`,
    );
  }
  return { ...rest, folder: dirname(whole), name: basename(whole) };
}

/**
 * Checks everything that can be checked before anything is fetched: places, permissions, the guard for secrets, names.
 * @throws UsageError, or Failure with status 2
 */
export function prepareOutput(outputs: readonly Output[], settings: OutputSettings): void {
  checkNames(outputs);
  for (const [folder, group] of byFolder(outputs)) {
    const intent = intentOf(group, settings);
    const single = singleFile(folder, group);
    if (single !== undefined) checkFilePlace(`${folder}/${single}`, intent);
    else checkSetPlace(folder, namesOf(group), intent);
  }
  checkAliases(outputs);
}

/** What is known of a folder's files before they are written. */
export function intentOf(group: readonly Output[], { allowDisk, alwaysSecret }: OutputSettings): Intent {
  return {
    alwaysSecret,
    memoryOnly: !allowDisk && group.some(({ secret }) => secret),
    owner: group.find(({ owner }) => owner !== undefined)?.owner,
  };
}

/** One folder under two paths would be published twice, and the second time remove what the first one wrote. */
function checkAliases(outputs: readonly Output[]): void {
  const seen = new Map<string, Output>();
  for (const [folder, [output]] of byFolder(outputs)) {
    if (output === undefined) continue;
    const identity = identityOfFolder(folder);
    const other = seen.get(identity);
    if (other) {
      throw new UsageError(
        `${output.origin}: ${output.folder} is the same folder as ${other.folder} (${other.origin}); name it by one path`,
      );
    }
    seen.set(identity, output);
  }
}

/**
 * Writes everything: all formats first, then every folder beside its place, then one swap or rename each.
 * @throws Failure with the reason in words, or the signal's reason; before the first swap nothing is visible
 */
export async function publishOutput(
  outputs: readonly Output[],
  contents: ReadonlyMap<Output, OutputContent>,
  settings: OutputSettings,
  context: OutputContext & Pick<Context, 'log'>,
): Promise<Published> {
  const { rendered, warnings, notes } = renderAll(outputs, contents, settings.lasting);
  for (const note of notes) context.log.info(note);
  await catchUp(context.signal);
  await contactVolumes(
    outputs.map(({ folder }) => folder),
    context,
  );
  const intents = outputs.map((output) => ({
    ...output,
    secret: contents.get(output)?.secret ?? output.secret,
  }));
  // What turned out to be a secret is guarded as one.
  prepareOutput(intents, settings);
  if (settings.forRuns !== true) warnings.push(...sharingWarnings(rendered, context));
  await using stack = new AsyncDisposableStack();
  const staged: Staged[] = [];
  // In one order, whatever order was asked for: two runs must not wait for each other's turn.
  for (const [folder, group] of [...byFolder(intents)].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const files = new Map(
      rendered.filter((file) => file.folder === folder).map(({ path, file }) => [path, file]),
    );
    const single = singleFile(folder, group);
    const file = single === undefined ? undefined : files.get(single);
    const intent = intentOf(group, settings);
    const stage = await (file === undefined
      ? stageSet(folder, files, settings.set, intent, context)
      : stageFile(`${folder}/${single}`, file, intent, context));
    stack.defer(() => stage.discard());
    staged.push(stage);
  }
  const published = await commitAll(staged, context.signal);
  return { ...published, warnings: [...warnings, ...published.warnings] };
}

/** One line of `--dry-run`'s report; never a value. */
export interface DryFile {
  readonly path: string;
  readonly format: string;
  /** In bytes. */
  readonly size: number;
  readonly mode: string;
  readonly owner?: string;
  readonly fields?: readonly string[];
}

/**
 * What would be written: names and sizes.
 * @param warn gets sentences without values
 * @throws Failure where a format cannot hold the content
 */
export function dryReport(
  outputs: readonly Output[],
  contents: ReadonlyMap<Output, OutputContent>,
  warn: (text: string) => void,
): readonly DryFile[] {
  return outputs.flatMap((output) => {
    const { rendered, warnings } = renderAll([output], contents);
    for (const warning of warnings) warn(warning);
    const content = contents.get(output)?.content;
    return rendered.map(({ folder, path, file }) => ({
      path: `${folder}/${path}`,
      format: output.format,
      size: file.bytes.length,
      mode: `0${file.mode.toString(8).padStart(3, '0')}`,
      ...(file.owner && { owner: `${file.owner.uid}:${file.owner.gid}` }),
      ...(content?.kind === 'fields' && output.name !== undefined && { fields: [...content.fields.keys()] }),
    }));
  });
}

/** `wrote 3 files, 1.2 KiB; 2 unchanged; 1 removed` */
export function summaryText({ written, unchanged, removed, bytes }: Published): string {
  const files = (count: number): string => `${count} file${count === 1 ? '' : 's'}`;
  const parts = [
    ...(written > 0 ? [`${files(written)} written (${bytes} bytes)`] : []),
    ...(unchanged > 0 ? [`${files(unchanged)} unchanged`] : []),
    ...(removed > 0 ? [`${files(removed)} removed that an earlier run had written`] : []),
  ];
  return parts.join(', ') || 'nothing to write';
}

function renderAll(
  outputs: readonly Output[],
  contents: ReadonlyMap<Output, OutputContent>,
  lasting = true,
): { readonly rendered: readonly Rendered[]; readonly warnings: string[]; readonly notes: string[] } {
  const rendered = new Map<string, Rendered>();
  const warnings: string[] = [];
  const notes: string[] = [];
  for (const output of outputs) {
    const given = contents.get(output);
    if (!given) throw new Error(`nothing was fetched for ${output.folder}/${output.name ?? ''}`);
    for (const [name, bytes] of render(output, given, { warnings, notes })) {
      const path = output.below === undefined ? name : `${output.below}/${name}`;
      const whole = `${output.folder}/${path}`;
      if (rendered.has(whole)) throw refusedContent(output, `two of its parts are to be ${whole}`);
      const mode = output.mode ?? (given.secret ? secretMode : contentMode);
      const file = { bytes, mode, owner: output.owner, lasting };
      rendered.set(whole, {
        folder: output.folder,
        path,
        file,
        secret: given.secret,
        forKubelet: output.format === 'env-file',
      });
    }
  }
  return { rendered: [...rendered.values()], warnings, notes };
}

function render(
  output: Output,
  { content, source }: OutputContent,
  said: { readonly warnings: string[]; readonly notes: string[] },
): ReadonlyMap<string, Uint8Array> {
  try {
    if (output.format === 'files' || output.name === undefined) {
      const made = formatFileSet(content);
      said.warnings.push(...made.warnings);
      return made.output;
    }
    const made = formatFile(output.format, content);
    said.warnings.push(...made.warnings);
    said.notes.push(...made.notes);
    return new Map([[output.name, made.output]]);
  } catch (error) {
    if (error instanceof FormatError)
      throw refusedContent(output, `${error.message}${source === undefined ? '' : ` (from ${source})`}`);
    throw error;
  }
}

function refusedContent(output: Output, why: string): Failure {
  return new Failure(
    failed(
      exitStatus.refused,
      `cannot write ${output.folder}${output.name === undefined ? '' : `/${output.name}`}: ${why}`,
    ),
  );
}

function checkNames(outputs: readonly Output[]): void {
  const seen = new Map<string, Output>();
  for (const output of outputs) {
    const inside = output.name ?? output.below;
    if (inside !== undefined) {
      try {
        checkRelativePath(inside);
      } catch (error) {
        throw new UsageError(`${output.origin}: ${(error as Error).message}`);
      }
    }
    const whole = inside === undefined ? output.folder : `${output.folder}/${inside}`;
    const other = seen.get(whole);
    if (other && other.name !== undefined) {
      throw new UsageError(`${output.origin}: ${whole} is written twice; the other is ${other.origin}`);
    }
    seen.set(whole, output);
  }
  for (const [whole, output] of seen) {
    for (let above = dirname(whole); above !== dirname(above); above = dirname(above)) {
      const file = seen.get(above);
      if (file?.name !== undefined) {
        throw new UsageError(
          `${output.origin}: ${whole} is below ${above}, which must be a file (${file.origin})`,
        );
      }
    }
  }
}

function byFolder(outputs: readonly Output[]): ReadonlyMap<string, readonly Output[]> {
  return Map.groupBy(outputs, ({ folder }) => folder);
}

/** The name of a file that is alone in its folder and can be renamed there; undefined where links are needed. */
function singleFile(folder: string, group: readonly Output[]): string | undefined {
  const [only, second] = group;
  if (only?.name === undefined || second !== undefined || only.name.includes('/')) return undefined;
  return isManaged(folder, only.name) ? undefined : only.name;
}

function namesOf(group: readonly Output[]): string[] {
  return group.flatMap(({ name, below }) => name ?? below ?? []);
}

/** One warning a folder, for the mode that the fewest may read. */
function sharingWarnings(rendered: readonly Rendered[], { host }: OutputContext): string[] {
  const found = new Map<string, string>();
  for (const { folder, file, secret, forKubelet } of rendered) {
    if (!secret || forKubelet || found.has(folder)) continue;
    const warning = sharingWarning(folder, file.mode, file.owner, host);
    if (warning !== undefined) found.set(folder, warning);
  }
  return [...found.values()];
}
