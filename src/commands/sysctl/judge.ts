import { readdirSync } from 'node:fs';
import { basename } from 'node:path';

import { nearest } from '../../clients/nearest.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { everyOne, Failure, failed, UsageError } from '../../core/outcome.ts';
import { ClosedPath, LinkInPath, MissingPath } from '../../fs/directory/pinned-path.ts';
import { systemErrorCode } from '../../fs/error-message.ts';
import { type KernelFile, NotKernelFile, openKernelFile } from '../../fs/kernel-file.ts';
import { hintsFor, whyDenied } from './explain.ts';
import { namespaceOf, usesNodeNetwork } from './scope.ts';
import type { KernelSetting } from './setting.ts';
import { meets, misfit, type Present, presentIn } from './value.ts';

/** A setting beside what it is. */
export interface JudgedSetting {
  readonly setting: KernelSetting;
  readonly file: KernelFile;
  readonly present: Present;
  readonly right: boolean;
}

/** Held open until it is disposed of. */
interface AllJudged extends Disposable {
  readonly found: readonly JudgedSetting[];
  /** Left out, since the kernel does not have them. */
  readonly missing: readonly KernelSetting[];
}

/**
 * Looks at all settings; nothing is written.
 * @throws UsageError where one cannot be what is asked for, Failure where one cannot be read
 */
export async function judgeSettings(
  settings: readonly KernelSetting[],
  ifExists: boolean,
  { host }: Pick<Context, 'host'>,
): Promise<AllJudged> {
  using open = new DisposableStack();
  const missing: KernelSetting[] = [];
  const found = everyOne(settings, (setting) => {
    try {
      const looked = lookAtOne(setting);
      open.use(looked.file);
      return looked;
    } catch (error) {
      if (error instanceof MissingPath && ifExists) {
        missing.push(setting);
        return undefined;
      }
      throw explained(error, setting, host.uid);
    }
  });
  const all = open.move();
  return {
    found: found.filter((looked) => looked !== undefined),
    missing,
    [Symbol.dispose]: () => all.dispose(),
  };
}

function lookAtOne(setting: KernelSetting): JudgedSetting {
  const file = openKernelFile(setting.path);
  try {
    if ((file.stat.mode & 0o444) === 0)
      throw new NotKernelFile('is an action and no setting: it can be written, and holds no value');
    const present = presentIn(file.read(), setting.path);
    const why = misfit(setting, present);
    if (why !== undefined) throw new UsageError(`${setting.name} ${why}`);
    return { setting, file, present, right: meets(setting, present) };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

function explained(error: unknown, setting: KernelSetting, uid: number): Error {
  const { name } = setting;
  if (error instanceof UsageError || error instanceof Failure) return error;
  if (error instanceof NotKernelFile) return new UsageError(`${name} ${error.message}`);
  if (error instanceof MissingPath) return new UsageError(missingWords(setting, error));
  if (error instanceof LinkInPath)
    return new UsageError(`${name}: ${error.message}, and links are not followed`);
  const code = error instanceof ClosedPath ? error.code : (systemErrorCode(error) ?? String(error));
  return new Failure(
    failed(exitStatus.failed, `${name} cannot be read (${code}): nothing was changed`, {
      hint: [whyDenied(code, uid) ?? [], hintsFor([setting])].flat(),
    }),
  );
}

function missingWords({ name, path }: KernelSetting, { nearest: folder }: MissingPath): string {
  const meant = nearest(path.slice(folder.length + 1).split('/')[0] ?? '', namesIn(folder));
  const of = path.slice(folder.length + 1).split('/').length === 1 && meant !== undefined;
  const advice = of ? `; did you mean ${basename(meant)}?` : '';
  return `${name} does not exist: there is no ${path}${advice}; ${whyMissingSetting(name)}; --if-exists leaves it out`;
}

function whyMissingSetting(name: string): string {
  if (namespaceOf(name) === 'net' && !usesNodeNetwork())
    return 'a pod sees the settings of its own network namespace, and some of net.* (net.core.rmem_max) are the node’s alone, which a pod with hostNetwork: true sees; or its module is not loaded';
  return 'this kernel does not have it, or its module is not loaded';
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
