import { dirname, resolve } from 'node:path';

import { reasonOf } from '../../core/clock.ts';
import { defineCommand, each } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { flag } from '../../core/options/option.ts';
import { done, failed, type Outcome } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { copyRuntime } from './copy.ts';
import { type Manifest, problemOf, readManifest } from './manifest.ts';

/** Where the copy must be mounted: the path that is written into the loader, the libraries and the first line. */
const mountPoint = '/initbox';

const positionals = {
  usage: 'DIR',
  name: 'directory',
  description: `the folder to fill, usually an emptyDir volume that another container mounts at ${mountPoint}`,
  parse: each('folder', parseFolder, { min: 1, max: 1, example: 'initbox install /shared' }),
};

export const install = defineCommand({
  name: 'install',
  summary: 'copy the runtime to a volume, for containers of other images',
  description: `Copies the runtime (program, Node, its libraries) into a folder, so that any image's container can run it when that folder is mounted at ${mountPoint}: musl, distroless or scratch. Each file appears whole, the program itself last; a rerun finds everything in place and copies nothing.`,
  examples: ['initbox install /shared', 'initbox install /shared --check'],
  positionals,
  options: {
    check: flag({ description: 'copy nothing; compare every byte and exit 1 where something differs' }),
  },
  afterDashes: 'successor',
  timeout: '5m',
  async run({ options, positionals: given }, context) {
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
  },
});

function parseFolder(text: string): string {
  if (text === '') throw new Error('the folder is empty; write an absolute path such as /shared');
  refuseUnexpanded('path', text, 'the folder');
  return text;
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
