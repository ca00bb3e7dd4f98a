import type { AnyCommand, PositionalKey } from '../../core/command.ts';
import { parseDuration } from '../../core/duration.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import {
  durationOr,
  flagName,
  integer,
  list,
  value,
  valueOr,
  type Option,
} from '../../core/options/option.ts';
import { timeoutOption } from '../../core/options/shared-options.ts';
import type { StepUser } from '../../core/step.ts';

/** What a key of a step says. */
export type StepKey =
  | { readonly kind: 'name' | 'uses' }
  /** The words of a command: any command's own, or what runs under the lock. */
  | { readonly kind: 'words'; readonly required: boolean }
  /** On what conditions the step is done. */
  | { readonly kind: 'when' }
  /** About the step, whatever it does. */
  | { readonly kind: 'about'; readonly name: string; readonly option: Option }
  /** An option of the command that the step uses. */
  | { readonly kind: 'option'; readonly name: string; readonly option: Option }
  /** Words of the command that belong to no option. */
  | {
      readonly kind: 'positional';
      readonly index: number;
      readonly many: boolean;
      readonly description: string;
      /** Whether the step must have it: always, or only where none of these other keys is there. */
      readonly required: boolean;
      readonly unless: readonly string[] | undefined;
    };

/** Characters of a step's name that are shown; one that is right has at most 63. */
export const mostOfName = 80;

export const namePattern = '^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$';
export const nameWords =
  'a step’s name has 1 to 63 letters, digits, dots, dashes and underscores, and begins and ends with a letter or digit';

/** What may be said about every step. */
export const aboutStep = {
  needs: list({
    description: 'the steps that must be done before; without it the step starts at once',
    placeholder: 'STEP',
    parse: String,
  }),
  retries: valueOr({
    description:
      'how often a step that failed is tried again, with pauses from 1s to 30s unless pause is given',
    placeholder: 'COUNT',
    parse: integer({ min: 0, max: 1000 }),
    fallback: '0',
  }),
  pause: value({
    description: 'a fixed pause before each further try',
    placeholder: 'DURATION',
    parse: parseSomeTime,
  }),
  'try-timeout': value({
    description: 'the time of each try; what takes longer is stopped, and tried again',
    placeholder: 'DURATION',
    parse: parseSomeTime,
  }),
  user: value({
    description:
      'a container that runs as root drops to this user for the step; supplementary groups such as fsGroup stay, and the group does unless it is given',
    placeholder: 'UID[:GID]',
    parse: parseUser,
  }),
};

/** What may be said about a step that is no command of initbox. */
const aboutAny = {
  timeout: timeoutOption('1h'),
  grace: durationOr({
    description: 'how long the command has to end after a TERM, before its process group is killed',
    fallback: '10s',
  }),
};

/** The keys of a step that uses a command of initbox, or of one that is any command. */
export function keysOf(command: AnyCommand | undefined): ReadonlyMap<string, StepKey> {
  const keys = new Map<string, StepKey>([['name', { kind: 'name' }]]);
  if (command === undefined) keys.set('command', { kind: 'words', required: true });
  else keys.set('uses', { kind: 'uses' });
  const { description = '', keys: own } = command?.positionals ?? {};
  for (const [index, { key, many = false, unless }] of positionalKeys(command).entries())
    keys.set(key, { kind: 'positional', index, many, description, required: own !== undefined, unless });
  if (command?.afterDashes === 'child') keys.set('command', { kind: 'words', required: false });
  keys.set('when', { kind: 'when' });
  for (const [name, option] of Object.entries(aboutStep)) keys.set(name, { kind: 'about', name, option });
  const options =
    command === undefined ? aboutAny : { ...command.options, timeout: timeoutOption(command.timeout) };
  for (const [name, option] of Object.entries(options as Readonly<Record<string, Option>>))
    keys.set(flagName(name, option), { kind: command === undefined ? 'about' : 'option', name, option });
  return keys;
}

/** The keys that a step must have. */
export function requiredKeys(
  command: AnyCommand | undefined,
  has: (key: string) => boolean = () => false,
): readonly string[] {
  const words = [...keysOf(command)].filter(
    ([, key]) =>
      (key.kind === 'words' && key.required) ||
      (key.kind === 'positional' && key.required && key.unless?.some(has) !== true),
  );
  return ['name', ...words.map(([name]) => name)];
}

function positionalKeys(command: AnyCommand | undefined): readonly PositionalKey[] {
  const { positionals } = command ?? {};
  return positionals === undefined ? [] : (positionals.keys ?? [{ key: positionals.name, many: true }]);
}

/** @throws Error that says what is accepted */
function parseSomeTime(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds < 1) throw new Error(`${quotedValue(text)} is too short; write at least 1ms`);
  return milliseconds;
}

/** @throws Error that says what is accepted */
function parseUser(text: string): StepUser {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  // 2^32 - 1 is the kernel's word for "no user".
  const [uid, gid] = [Number(match?.[1]), match?.[2] === undefined ? undefined : Number(match[2])];
  if (match === null || uid >= 2 ** 32 - 1 || (gid ?? 0) >= 2 ** 32 - 1)
    throw new Error(`${quotedValue(text)} is not a user; write its number, or UID:GID, such as 1000:1000`);
  return { uid, gid };
}
