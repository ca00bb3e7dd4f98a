import type { Position } from '../../clients/yaml/nodes.ts';
import type { AnyCommand } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Option, Options, Values } from '../../core/options/option.ts';
import { checkExpanded, resolveOptions, type Given } from '../../core/options/resolve-options.ts';
import { limitOf } from '../../core/options/shared-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { unreadSecret, type Redactor } from '../../core/redaction/redactor.ts';
import type { StepInput, StepUser } from '../../core/step.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readSecretFile } from '../../fs/input-file.ts';
import { refuseSharedPaths } from '../../fs/written-paths.ts';
import { expandReferences } from './expand.ts';
import type { Linked } from './graph.ts';
import { inKeys } from './in-keys.ts';
import { aboutStep, keysOf, namePattern, nameWords } from './keys.ts';
import { where } from './mistakes.ts';
import { refuseSecrets, secretWords } from './secrets.ts';
import type { StepShape, Text } from './shape.ts';

export type StepWork =
  | { readonly kind: 'own'; readonly command: AnyCommand; readonly input: StepInput }
  | {
      readonly kind: 'any';
      readonly command: readonly string[];
      /** With `$(NAME)` where it was: what may be shown. */
      readonly written: readonly string[];
      readonly grace: number;
    };

/** One step, checked; nothing of it has been done. */
export interface Step extends Linked {
  readonly when: string | undefined;
  readonly user: StepUser | undefined;
  readonly retries: number;
  /** Milliseconds for the step with all its tries, 0 for none, and where that was said. */
  readonly limit: number;
  readonly limitOrigin: string;
  readonly work: StepWork;
}

/** What a plan is read with. */
export interface PlanContext extends Pick<Context, 'environment' | 'redactor' | 'host' | 'paths'> {
  /** What takes over after the plan. */
  readonly successor: readonly string[] | undefined;
}

/**
 * Reads the values of one step, and has the command that it uses check them together.
 * @param mistakes gets what is wrong, each with its place
 */
export async function readStep(
  shape: StepShape,
  origin: string,
  context: PlanContext,
  mistakes: string[],
): Promise<Step> {
  const { command, at } = shape;
  const name = shape.values.find(({ key }) => key.kind === 'name')?.texts[0] ?? { text: '', at };
  const tell = (place: Position, text: string): void =>
    void mistakes.push(`${where(origin, place)}: ${text}`);
  if (!shape.lost.includes('name') && !new RegExp(namePattern).test(name.text))
    tell(name.at, `${JSON.stringify(name.text.slice(0, 80))} is not a valid name; ${nameWords}`);
  const keys = keysOf(command);
  const tellError = (error: unknown): undefined => {
    if (!(error instanceof UsageError)) throw error;
    for (const line of error.lines) {
      const words = inKeys(line, keys, command);
      // What is wrong with one value knows its line; what is missing is the step's.
      if (line.startsWith(`${origin}:`)) mistakes.push(words);
      else tell(at, `step ${JSON.stringify(name.text)}: ${words}`);
    }
    return undefined;
  };
  const guarded = <T>(action: () => T): T | undefined => {
    try {
      return action();
    } catch (error) {
      return tellError(error);
    }
  };
  const literal = new Set<string>();
  const give = (key: string, { text, at: place }: Text): Given => {
    const value = expandReferences(text, context.environment);
    const given = { text: value, origin: `${where(origin, place)}: ${key}` };
    if (value === text) literal.add(given.origin);
    return given;
  };
  const of = (kind: 'about' | 'option'): Map<string, readonly Given[]> => {
    const found = new Map<string, readonly Given[]>();
    for (const { key, name: word, texts } of shape.values)
      if (key.kind === kind)
        found.set(
          key.name,
          texts.map((text) => give(word, text)),
        );
    return found;
  };
  const secretFree = refuseSecrets(shape, tell);
  const own = of('option');
  const about = new Map([...of('about'), ...pick(own, 'timeout')]);
  own.delete('timeout');
  const aboutOptions = optionsAbout(command);
  const resolve = (options: Options, given: ReadonlyMap<string, readonly Given[]>) =>
    guarded(() => resolveOptions(options, given, {}, context.redactor, readSecretFile));
  // Each value by itself first, so that one mistake does not hide another.
  const resolveEach = (
    options: Options,
    given: ReadonlyMap<string, readonly Given[]>,
  ): Values<Options> | undefined => {
    const each = Object.entries(options).flatMap(([key, option]) =>
      (option.kind === 'list' ? (given.get(key) ?? []).map((one) => [one]) : [given.get(key) ?? []]).map(
        (values) => resolve({ [key]: option }, new Map(values.length === 0 ? [] : [[key, values]])),
      ),
    );
    return each.includes(undefined) ? undefined : resolve(options, given);
  };
  const said = resolveEach(aboutOptions, about);
  const user = said?.['user'] as StepUser | undefined;
  if (user !== undefined && context.host.uid !== 0) {
    const place = shape.values.find(({ name: word }) => word === 'user')?.texts[0]?.at ?? at;
    tell(
      place,
      `user: only root can become another user, and this is UID ${context.host.uid} (set runAsUser: 0 for this container)`,
    );
  }
  for (const { name: word, texts } of shape.values)
    for (const { text, at: place } of texts)
      if (text.includes('\0')) tell(place, `${word}: it holds a NUL (\\0), which no argument or path can`);
  const written = wordsOf(shape);
  const words = written?.map((text) => expandReferences(text, context.environment));
  // Of the other words a shell may make something.
  if (words?.[0] !== undefined && !shape.lost.includes('words')) {
    const place = shape.values.find(({ key }) => key.kind === 'words')?.texts[0]?.at ?? at;
    const [program] = words;
    guarded(() => refuseUnexpanded('path', program, `${where(origin, place)}: command`));
  }
  if (words?.[0] === '') tell(at, `step ${JSON.stringify(name.text)}: its command is empty`);
  const positionals = shape.values
    .flatMap(({ key, name: word, texts }) =>
      key.kind === 'positional' ? [{ index: key.index, given: texts.map((text) => give(word, text)) }] : [],
    )
    .toSorted((a, b) => a.index - b.index)
    .flatMap(({ given }) => given);
  const limitGiven = about.get('timeout')?.[0];
  const limited = limitGiven !== undefined;
  let values: Values<Options> | undefined;
  if (command !== undefined && secretFree) {
    values = resolveEach(withoutFiles(command.options as Options), own);
    // Secrets' files are read when the step starts; their paths are there already.
    for (const [key, option] of Object.entries(command.options as Options))
      if (option.kind === 'secret') guarded(() => checkExpanded(option, own.get(key) ?? []));
    guarded(() => refuseSharedPaths(command.options as Options, (key) => own.get(key) ?? [], positionals));
    const parsed = readPositionals(command, positionals, { literal, shape, context, guarded });
    const after = command.afterDashes === 'successor' ? context.successor : words;
    if (values !== undefined && parsed !== undefined && said !== undefined && shape.lost.length === 0) {
      const options = { ...values, ...unreadSecrets(command.options as Options, own) };
      const { environment, ...around } = context;
      const leftOut = said['when'] !== undefined && !environment[said['when'] as string];
      try {
        await command.check?.(
          { options, limited, positionals: parsed[0], command: after },
          { ...around, environment: leftOut ? undefined : environment },
        );
      } catch (error) {
        tellError(error);
      }
    }
  }
  return {
    name: name.text,
    at: name.at,
    // An empty one has been told.
    needs: (shape.values.find(({ name: word }) => word === 'needs')?.texts ?? []).flatMap(
      ({ text, at: place }) => (text === '' ? [] : [{ name: text, at: place }]),
    ),
    when: said?.['when'] as string | undefined,
    user,
    retries: (said?.['retries'] as number | undefined) ?? 0,
    limit: limitOf(command, values, said?.['timeout'] as number | undefined, limited),
    limitOrigin: limitGiven?.origin ?? 'the default of timeout',
    work:
      command === undefined
        ? {
            kind: 'any',
            command: words ?? [],
            written: written ?? [],
            grace: (said?.['grace'] as number | undefined) ?? 0,
          }
        : { kind: 'own', command, input: { options: [...own], positionals, words, limited } },
  };
}

/**
 * Reads what belongs to no option. Where some of it is missing or of the wrong kind, only what is wrong with the rest
 * counts, and not how many there are.
 */
function readPositionals(
  command: AnyCommand,
  positionals: readonly Given[],
  {
    literal,
    shape: { lost, values },
    context: { redactor },
    guarded,
  }: {
    readonly literal: ReadonlySet<string>;
    readonly shape: StepShape;
    readonly context: Pick<Context, 'redactor'>;
    readonly guarded: <T>(action: () => T) => T | undefined;
  },
): readonly [unknown] | undefined {
  const read = (): readonly [unknown] => [parsePositionals(command, positionals, literal, redactor)];
  if (!lost.includes('positional')) return guarded(read);
  // Without the first of several keys, what follows it would be read in its place.
  const several = command.positionals?.keys !== undefined;
  if (
    several &&
    !values.some(({ key, texts }) => key.kind === 'positional' && key.index === 0 && texts.length > 0)
  )
    return undefined;
  return guarded(() => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const own = error.lines.filter((line) => positionals.some(({ origin }) => line.startsWith(origin)));
      if (own.length > 0) throw new UsageError(own);
      return undefined;
    }
  });
}

/** Stand for the secrets whose files are named. */
function unreadSecrets(options: Options, own: ReadonlyMap<string, readonly Given[]>): Values<Options> {
  return Object.fromEntries(
    Object.entries(options)
      .filter(([, option]) => option.kind === 'secret')
      .map(([key]) => [key, own.has(key) ? unreadSecret : undefined]),
  );
}

function wordsOf({ values }: StepShape): readonly string[] | undefined {
  return values.find(({ key }) => key.kind === 'words')?.texts.map(({ text }) => text);
}

/** The options about a step that are no business of the command that it uses. */
function optionsAbout(command: AnyCommand | undefined): Options {
  const options = [...keysOf(command).values()].flatMap((key): (readonly [string, Option])[] =>
    key.kind === 'about' || (key.kind === 'option' && key.name === 'timeout') ? [[key.name, key.option]] : [],
  );
  return { ...aboutStep, ...Object.fromEntries(options) };
}

/** A secret's file may be what an earlier step fetches: it is read when its step starts. */
function withoutFiles(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, option]) => option.kind !== 'secret'));
}

function pick(
  given: ReadonlyMap<string, readonly Given[]>,
  name: string,
): (readonly [string, readonly Given[]])[] {
  const found = given.get(name);
  return found === undefined ? [] : [[name, found]];
}

/** The command's own reader knows a password that it finds; in the text of a plan none may stand. */
function parsePositionals(
  command: AnyCommand,
  positionals: readonly Given[],
  written: ReadonlySet<string>,
  redactor: Redactor,
): unknown {
  const secrets = new Set<string>();
  const parsed: unknown = command.positionals?.parse(positionals, (secret: string, origin: string) => {
    redactor.secret(secret);
    if (written.has(origin)) secrets.add(origin);
  });
  if (secrets.size > 0)
    throw new UsageError([...secrets].map((origin) => `${origin}: ${secretWords('a password')}`));
  return parsed;
}
