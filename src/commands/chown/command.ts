import { defineCommand } from '../../core/command.ts';
import { flag, list, oneOf, parseText, value, type Values } from '../../core/options/option.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { parseModeChange } from '../../fs/tree/mode.ts';
import { chownTrees } from './chown.ts';
import { type OwnerText, parseNewOwner } from './owner.ts';

const example = 'initbox chown 1000:1000 /data';

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

const options = {
  recursive: flag({
    description: 'everything below as well; --no-recursive for the path alone',
    fallback: true,
    short: 'R',
  }),
  policy: oneOf({
    description: 'root-mismatch trusts a top directory that is right and looks no further',
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
  create: flag({ description: 'make a missing directory, with this owner and mode' }),
  from: value({
    description: 'change only what belongs to this owner',
    placeholder: 'OWNER:GROUP',
    parse: parseNewOwner,
  }),
  reference: value({
    description: 'the owner of another path, in place of OWNER',
    placeholder: 'PATH',
    parse: parseText,
  }),
  'one-file-system': flag({
    description: 'stay out of what is mounted below',
    fallback: true,
    short: 'x',
  }),
  exclude: list({
    description: 'leave out, with all below: a name, or a path below the top with a slash',
    placeholder: 'GLOB',
    parse: parseText,
  }),
  'dry-run': flag({ description: 'change nothing; print what would change, as JSON' }),
};

export interface Words {
  /** Undefined where the first word can only be a path. */
  readonly owner: OwnerText | undefined;
  /** All words, the owner's too: with --reference it is a path. */
  readonly words: readonly string[];
}

export const chown = defineCommand({
  name: 'chown',
  summary: 'give a volume to the user that an application runs as',
  description: `Gives files and directories an owner, and a mode where one is asked for. Follows no symbolic link, at any depth, also none that is swapped in meanwhile; changes only what is not right yet; stays on the volume. The top directory is set last: an interrupted run is never taken for a whole one.

Needs root (runAsUser: 0) and of its capabilities CHOWN, FOWNER for modes, and DAC_OVERRIDE for directories of others.`,
  examples: [
    example,
    'initbox chown 1000:1000 /data --policy root-mismatch',
    'initbox chown 1000:2000 /data/uploads --create --mode u=rwX,g=rwX,o= --setgid',
    'initbox chown :2000 /shared --exclude lost+found --dry-run',
  ],
  positionals: {
    usage: 'OWNER[:GROUP] PATH…',
    name: 'owner-and-paths',
    keys: [{ key: 'owner' }, { key: 'paths', many: true }],
    description: 'whom it is to belong to: numbers, or names of this image; then what',
    parse: parseWords,
  },
  options,
  afterDashes: 'successor',
  timeout: '1h',
  check: ({ options: given, positionals }) => void pathsOf(positionals, given),
  async run({ options: given, positionals }, context) {
    const paths = pathsOf(positionals, given);
    const { owner } = positionals;
    return chownTrees(
      {
        owner: given.reference === undefined ? owner : undefined,
        reference: given.reference,
        from: given.from,
        paths,
        recursive: given.recursive,
        trustTop: given.policy === 'root-mismatch',
        modes: {
          mode: given.mode,
          file: given['file-mode'],
          directory: given['dir-mode'],
          setgid: given.setgid,
        },
        create: given.create,
        crossMounts: !given['one-file-system'],
        exclude: given.exclude,
        dryRun: given['dry-run'],
      },
      context,
    );
  },
});

/** @throws UsageError where the words and flags do not fit together */
function pathsOf({ owner, words }: Words, given: Values<typeof options>): readonly string[] {
  if (given.reference === undefined && owner === undefined)
    throw new UsageError(`no owner was given before ${JSON.stringify(words[0])}; for example: ${example}`);
  if (given.reference !== undefined && words.length > 1 && looksLikeOwner(words[0] as string))
    throw new UsageError(
      `both the owner ${words[0]} and --reference were given, and one is enough; a path of that name is written ./${words[0]}`,
    );
  const paths = given.reference === undefined ? words.slice(1) : words;
  if (paths.length === 0) throw new UsageError(`no path was given; for example: ${example}`);
  if (!given.recursive && given.exclude.length > 0)
    throw new UsageError('--exclude is about what lies below; it does nothing with --no-recursive');
  return paths;
}

/** Numbers with a colon, or alone: hardly a path. */
function looksLikeOwner(word: string): boolean {
  return /^\d*(:\d*)?$/.test(word);
}

/** The first word is the owner, unless it can only be a path (which --reference allows). */
function parseWords(given: readonly Given[]): Words {
  const [first, ...rest] = given;
  if (first === undefined) throw new UsageError(`no owner and no path were given; for example: ${example}`);
  for (const { text, origin } of rest) if (text === '') throw new UsageError(`${origin}: the path is empty`);
  for (const { text, origin } of rest) refuseUnexpanded('path', text, origin);
  refuseUnexpanded(/^[./]/.test(first.text) ? 'path' : 'name', first.text, first.origin);
  const words = given.map(({ text }) => text);
  if (/^[./]/.test(first.text)) return { owner: undefined, words };
  try {
    return { owner: parseNewOwner(first.text), words };
  } catch (error) {
    throw new UsageError(`${first.origin}: ${(error as Error).message}`);
  }
}
