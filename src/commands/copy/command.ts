import { defineCommand } from '../../core/command.ts';
import { copyOptions } from './options.ts';
import { copyExample, parseSourcesAndDestination } from './positionals.ts';
import { checkCopy, runCopy } from './run.ts';

export const copy = defineCommand({
  name: 'copy',
  summary: 'copy files and trees to a volume',
  description: `Copies with modes, times, links and, as root, owners. A directory's content goes into DEST; a file goes into DEST where that is a directory, and else becomes DEST. Everything is prepared out of sight and then shown by renames: no reader sees half a file, and where something cannot be copied DEST stays as it was. Files that already match are not rewritten. Links in DEST are neither followed nor written through; of a ConfigMap or Secret, the content is copied.

Needs no root and no capability. As root with the capability CHOWN, owners are kept too.`,
  examples: [
    `${copyExample} --if-empty`,
    'initbox copy /app/static /srv/static --delete',
    'initbox copy /etc/config/app.conf /config/app.conf --mode 0640',
    'initbox copy /bin/agent /usr/share/agent /opt/agent/ --owner 1000:1000',
    'initbox copy /defaults /data --no-clobber --exclude "*.md"',
  ],
  positionals: {
    usage: 'SRC… DEST',
    name: 'sources-and-destination',
    description: 'files or directories, then where they go',
    keys: [{ key: 'sources', many: true }, { key: 'destination' }],
    parse: parseSourcesAndDestination,
  },
  options: copyOptions,
  afterDashes: 'successor',
  timeout: '1h',
  check: checkCopy,
  run: runCopy,
});
