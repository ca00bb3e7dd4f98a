import { defineCommand } from '../../core/command.ts';
import { flag, list, parseText, value } from '../../core/options/option.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { parseFileOwner } from '../../fs/publish/attributes.ts';
import { parseModeChange } from '../../fs/tree/mode.ts';
import { copyTrees } from './copy.ts';

const example = 'initbox copy /app/plugins /plugins';

const options = {
  'if-empty': flag({
    description: 'do nothing where DEST holds something already; lost+found is nothing',
  }),
  'no-clobber': flag({ description: 'leave every file that is in DEST already', short: 'n' }),
  delete: flag({ description: 'remove from DEST what no source has, but for what is excluded' }),
  atomic: flag({
    description: 'show the whole tree at once: links in DEST lead through ..data, as in a ConfigMap',
  }),
  dereference: flag({ description: 'copy what links lead to, in place of links', short: 'L' }),
  checksum: flag({
    description: 'compare contents even where size and time are the same',
  }),
  mode: value({
    description: 'permissions, in place of the source’s: u=rwX,g=rX,o= or octal',
    placeholder: 'MODE',
    parse: (text: string) => {
      parseModeChange(text, /^[0-7]+$/.test(text) ? 'file' : 'both');
      return text;
    },
  }),
  owner: value({
    description: 'the owner, in numbers, in place of the source’s',
    placeholder: 'UID:GID',
    parse: parseFileOwner,
  }),
  exclude: list({
    description: 'leave out, with all below: a name, or a path below the source with a slash',
    placeholder: 'GLOB',
    parse: parseText,
  }),
  'one-file-system': flag({ description: 'leave out what is mounted below a source', short: 'x' }),
  'dry-run': flag({ description: 'write nothing; print what would be done, as JSON' }),
};

interface Words {
  readonly sources: readonly string[];
  readonly destination: string;
}

export const copy = defineCommand({
  name: 'copy',
  summary: 'copy files and trees to a volume',
  description: `Copies with modes, times, links and, as root, owners. A directory's content goes into DEST; a file goes into DEST where that is a directory, and else becomes DEST. Everything is prepared out of sight and then shown by renames: no reader sees half a file, and where something cannot be copied DEST stays as it was. What is right already is not written again. Links in DEST are neither followed nor written through; of a ConfigMap or Secret, the content is copied.

Needs no root and no capability. As root with the capability CHOWN, owners are kept too.`,
  examples: [
    `${example} --if-empty`,
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
    parse: parseWords,
  },
  options,
  afterDashes: 'successor',
  timeout: '1h',
  async run({ options: given, positionals: { sources, destination } }, context) {
    return copyTrees(
      {
        sources,
        destination,
        ifEmpty: given['if-empty'],
        noClobber: given['no-clobber'],
        delete: given.delete,
        atomic: given.atomic,
        dereference: given.dereference,
        checksum: given.checksum,
        mode: given.mode,
        owner: given.owner,
        exclude: given.exclude,
        crossMounts: !given['one-file-system'],
        dryRun: given['dry-run'],
      },
      context,
    );
  },
});

function parseWords(given: readonly Given[]): Words {
  if (given.length < 2)
    throw new UsageError(
      `${given.length === 0 ? 'no source and no DEST were given' : `one word was given, ${JSON.stringify(given[0]?.text)}: DEST comes after the sources`}; for example: ${example}`,
    );
  for (const { text, origin } of given) refuseUnexpanded('path', text, origin);
  const words = given.map(({ text }) => text);
  return { sources: words.slice(0, -1), destination: words.at(-1) ?? '' };
}
