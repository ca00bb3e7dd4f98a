import { defineCommand, each } from '../../core/command.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { installOptions } from './options.ts';
import { runInstall } from './run.ts';

/** Where the copy must be mounted: the path that is written into the loader, the libraries and the first line. */
const mountPoint = '/initbox';

const positionals = {
  usage: 'DIR',
  name: 'directory',
  keys: [{ key: 'directory' }],
  description: `the folder to fill, usually an emptyDir volume that another container mounts at ${mountPoint}`,
  parse: each('folder', parseFolder, { min: 1, max: 1, example: 'initbox install /shared' }),
};

export const install = defineCommand({
  name: 'install',
  summary: 'copy the runtime to a volume, for containers of other images',
  description: `Copies the runtime (program, Node, its libraries) into a folder, so that any image's container can run it when that folder is mounted at ${mountPoint}: musl, distroless or scratch. Each file appears whole, the program itself last; a rerun finds everything in place and copies nothing.`,
  examples: ['initbox install /shared', 'initbox install /shared --check'],
  positionals,
  options: installOptions,
  afterDashes: 'successor',
  timeout: '5m',
  run: runInstall,
});

function parseFolder(text: string): string {
  if (text === '') throw new Error('the folder is empty; write an absolute path such as /shared');
  refuseUnexpanded('path', text, 'the folder');
  return text;
}
