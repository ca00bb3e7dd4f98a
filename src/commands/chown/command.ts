import { defineCommand } from '../../core/command.ts';
import { chownOptions, modeOptions } from './options.ts';
import { chownExample, parseOwnerAndPaths } from './positionals.ts';
import { checkChown, runChown } from './run.ts';

export const chown = defineCommand({
  name: 'chown',
  summary: 'set a volume’s ownership',
  description: `Gives files and directories an owner, and a mode where one is asked for. Follows no symbolic link, at any depth, also none that is swapped in meanwhile; changes only what differs; stays on the volume. The top directory is set last: an interrupted run is never mistaken for a complete one.

Needs root (runAsUser: 0) and of its capabilities CHOWN, FOWNER for modes of others’ files, and DAC_OVERRIDE for directories of others.`,
  examples: [
    chownExample,
    'initbox chown 1000:1000 /data --policy root-mismatch',
    'initbox chown 1000:2000 /data/uploads --create --mode u=rwX,g=rwX,o= --setgid',
    'initbox chown :2000 /shared --exclude lost+found --dry-run',
    'initbox chown --mode g+rwX /shared --if-exists',
  ],
  positionals: {
    usage: 'OWNER[:GROUP] PATH…',
    name: 'owner-and-paths',
    keys: [
      { key: 'owner', unless: ['reference', ...modeOptions] },
      { key: 'paths', many: true },
    ],
    description: 'the new owner, in numbers or names of this image, unless only modes change; then the paths',
    parse: parseOwnerAndPaths,
  },
  options: chownOptions,
  afterDashes: 'successor',
  timeout: '1h',
  check: checkChown,
  run: runChown,
});
