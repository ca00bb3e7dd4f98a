import { flag, list, oneOf, parseText, value } from '../../core/options/option.ts';
import { parseModeChange } from '../../fs/tree/mode.ts';
import { parseNewOwner } from './owner.ts';

/** A mode that is checked where it is read, and handed on as text: helpers read it too. */
function mode(kind: 'both' | 'file' | 'directory', description: string) {
  return value({
    description,
    placeholder: 'MODE',
    parse: (text: string) => {
      parseModeChange(text, kind);
      return text;
    },
  });
}

/** Those with which no owner need be given. */
export const modeOptions = ['mode', 'file-mode', 'dir-mode', 'setgid'] as const;

export const chownOptions = {
  recursive: flag({
    description: 'everything below as well; --no-recursive for the path alone',
    fallback: true,
    short: 'R',
  }),
  policy: oneOf({
    description: 'root-mismatch skips the tree if its top directory is right already',
    choices: ['always', 'root-mismatch'],
    fallback: 'always',
  }),
  mode: mode(
    'both',
    'permissions too: u=rwX,g=rX,o= or octal; X is x for directories and for what is executable',
  ),
  'file-mode': mode('file', 'permissions of files alone'),
  'dir-mode': mode('directory', 'permissions of directories alone'),
  setgid: flag({
    description: 'directories hand their group on to what is made in them (as fsGroup does)',
  }),
  create: flag({ description: 'make a missing directory on a volume, with this owner and mode' }),
  'if-exists': flag({ description: 'leave out a path that does not exist' }),
  from: value({
    description: 'change only what belongs to this owner',
    placeholder: 'OWNER:GROUP',
    parse: parseNewOwner,
  }),
  reference: value({
    description: 'the path whose owner to use, instead of OWNER',
    placeholder: 'PATH',
    parse: parseText,
  }),
  'one-file-system': flag({
    description: 'do not enter what is mounted below',
    fallback: true,
    short: 'x',
  }),
  exclude: list({
    description: 'skip this and all below it: a name, or a path below the top with a slash',
    placeholder: 'GLOB',
    parse: parseText,
  }),
  'dry-run': flag({ description: 'change nothing; print what would change, as JSON' }),
};
