import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import { UsageError } from '../../core/outcome.ts';
import { inputKind, namesInInput, whyUnread } from '../../fs/input-file.ts';
import { decodeUtf8 } from './data/parse.ts';
import { readWhole } from './data/read-file.ts';

/** One template as it was read. */
export interface Template {
  /** As it was named, for messages. */
  readonly path: string;
  readonly text: string;
  /** Where it is to be written, whole. */
  readonly folder: string;
  readonly name: string;
}

/** Endings that say that a file is a template; what is written goes without. */
const templateEnding = /(?<=.)\.(template|tmpl|tpl|ctmpl|liquid)$/;

/**
 * Reads templates: files, and folders of them, not deep, as ConfigMaps are mounted.
 * @param to a file for one template; a folder where it ends with `/` or is one, or where there are several
 * @param largest bytes that one may have
 * @throws UsageError where one cannot be read, or two would be one file
 */
export function readTemplates(paths: readonly string[], to: string, largest: number): readonly Template[] {
  const files = paths.flatMap((path) => (templateKind(path) === 'folder' ? filesOf(path) : [path]));
  if (files.length === 0) throw new UsageError(`${paths.join(', ')}: the folder holds no templates`);
  const kind = kindOf(to);
  const several =
    files.length > 1 || paths.length !== files.length || templateKind(paths[0] ?? '') === 'folder';
  if (several && kind === 'file')
    throw new UsageError(`--to: ${to} is a file, and there are several templates; name a folder`);
  const whole = resolve(to);
  const intoFolder = several || to.endsWith('/') || kind === 'folder';
  const seen = new Map<string, string>();
  return files.map((path) => {
    const name = intoFolder ? basename(path).replace(templateEnding, '') : basename(whole);
    const folder = intoFolder ? whole : resolve(whole, '..');
    const other = seen.get(name);
    if (other !== undefined)
      throw new UsageError(`${other} and ${path} would both be written to ${join(folder, name)}`);
    seen.set(name, path);
    return { path, text: readText(path, largest), folder, name };
  });
}

function kindOf(path: string): 'file' | 'folder' | undefined {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined; // absent, or out of reach: whoever opens it says why
  }
}

/** Names with a leading dot are the kubelet's own, or an editor's. */
function filesOf(folder: string): string[] {
  return guarded(folder, () =>
    namesInInput(folder)
      .filter((name) => !name.startsWith('.'))
      .map((name) => join(folder, name))
      .filter((path) => templateKind(path) !== 'folder'),
  );
}

function templateKind(path: string): ReturnType<typeof inputKind> {
  return guarded(path, () => inputKind(path));
}

function guarded<T>(path: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`the template ${path} ${whyUnread(error)}`, { cause: error });
  }
}

function readText(path: string, largest: number): string {
  try {
    return decodeUtf8(readWhole(path, largest));
  } catch (error) {
    throw new UsageError(`the template ${path}: ${(error as Error).message}`, { cause: error });
  }
}
