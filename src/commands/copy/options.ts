import { flag, list, parseText, value } from '../../core/options/option.ts';
import { parseFileOwner } from '../../fs/publish/attributes.ts';
import { parseModeChange } from '../../fs/tree/mode.ts';

export const copyOptions = {
  'if-empty': flag({
    description: 'do nothing if DEST holds anything but lost+found',
  }),
  'if-exists': flag({ description: 'leave out a source that does not exist, or matches nothing' }),
  'no-clobber': flag({ description: 'keep every file that DEST has already', short: 'n' }),
  delete: flag({ description: 'remove from DEST what no source has, except what is excluded' }),
  atomic: flag({
    description: 'show the whole tree at once: links in DEST lead through ..data, as in a ConfigMap',
  }),
  dereference: flag({ description: 'copy what links lead to, instead of the links', short: 'L' }),
  checksum: flag({
    description: 'compare contents even where size and time are the same',
  }),
  mode: value({
    description: 'permissions, instead of the source’s: u=rwX,g=rX,o= or octal',
    placeholder: 'MODE',
    parse: (text: string) => {
      parseModeChange(text, /^[0-7]+$/.test(text) ? 'file' : 'both', false);
      return text;
    },
  }),
  owner: value({
    description: 'the owner, in numbers, instead of the source’s',
    placeholder: 'UID:GID',
    parse: parseFileOwner,
  }),
  exclude: list({
    description: 'skip this and all below it: a name, or a path below the source with a slash',
    placeholder: 'GLOB',
    parse: parseText,
  }),
  'one-file-system': flag({ description: 'skip what is mounted below a source', short: 'x' }),
  'dry-run': flag({ description: 'write nothing; print what would be done, as JSON' }),
};
