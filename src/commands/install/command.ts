import { dirname, resolve } from 'node:path';

import { defineCommand, each } from '../../core/command.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { flag } from '../../core/options/option.ts';
import { failed } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { checkRuntime } from './check.ts';
import { copyRuntime } from './copy.ts';
import { readManifest } from './manifest.ts';

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
    if (options.check) return checkRuntime(source, target, manifest, context);
    return copyRuntime(source, target, manifest, context);
  },
});

function parseFolder(text: string): string {
  if (text === '') throw new Error('the folder is empty; write an absolute path such as /shared');
  refuseUnexpanded('path', text, 'the folder');
  return text;
}
