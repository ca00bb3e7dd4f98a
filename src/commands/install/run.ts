import { dirname, resolve } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { done, failed, type Outcome } from '../../core/outcome.ts';
import { copyRuntime } from './copy.ts';
import { problemOf, readManifest, type Manifest } from './manifest.ts';
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
  if (options.check) return check(target, manifest, context);
  return copyRuntime(source, target, manifest, context);
}

async function check(target: string, manifest: Manifest, context: Context): Promise<Outcome> {
  const problems: string[] = [];
  for (const file of manifest.files) {
    if (context.signal.aborted) throw reasonOf(context.signal);
    const problem = await problemOf(target, file, true, context.signal).catch((error: unknown) => {
      throw context.signal.aborted ? reasonOf(context.signal) : error;
    });
    if (problem !== undefined) problems.push(problem);
  }
  if (readManifest(target)?.build !== manifest.build)
    problems.push('the manifest is missing or of another build');
  if (problems.length === 0)
    return done(
      `${target} holds initbox ${manifest.version}, ${manifest.files.length} files, each byte as it should be`,
    );
  return failed(exitStatus.failed, `${target} does not hold this runtime`, {
    details: problems.slice(0, 10),
    hint: `initbox install ${target} repairs it`,
  });
}
