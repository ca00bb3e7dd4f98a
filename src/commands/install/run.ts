import { dirname, resolve } from 'node:path';

import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { failed, type Outcome } from '../../core/outcome.ts';
import { checkRuntime } from './check.ts';
import { copyRuntime } from './copy.ts';
import { readManifest } from './manifest.ts';
import type { installOptions } from './options.ts';

/** Copies the runtime, or compares a copy with it. */
export async function runInstall(
  { options, positionals: given }: Input<typeof installOptions, readonly string[]>,
  context: Context,
): Promise<Outcome> {
  const target = resolve(given[0] ?? '');
  const source = dirname(context.host.script);
  const manifest = readManifest(source);
  if (manifest === undefined) {
    return failed(
      exitStatus.failed,
      `${source} holds no runtime: install works from the image, or from a copy that it made`,
      {
        hint: 'run it as `docker run -v VOLUME:/shared initbox install /shared`, or as an init container of that image',
      },
    );
  }
  if (options.check) return checkRuntime(source, target, manifest, context);
  return copyRuntime(source, target, manifest, context);
}
