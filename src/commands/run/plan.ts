import {
  parseYamlNodes,
  plainValue,
  YamlError,
  type Position,
  type YamlMap,
  type YamlNode,
} from '../../clients/yaml/nodes.ts';
import type { AnyCommand, CommandList } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { flagName, type Option, type Options, type Values } from '../../core/options/option.ts';
import { checkExpanded, resolveOptions, type Given } from '../../core/options/resolve-options.ts';
import { limitOf } from '../../core/options/shared-options.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { secretAsPath } from '../../core/secret-as-path.ts';
import type { StepInput, StepUser } from '../../core/step.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { passwordIn } from '../../core/userinfo.ts';
import { readSecretFile } from '../../fs/input-file.ts';
import { refuseSharedPaths } from '../../fs/written-paths.ts';
import { expandReferences } from './expand.ts';
import { linkMistakes, type Linked } from './graph.ts';
import { aboutStep, keysOf, namePattern, nameWords, requiredKeys, type StepKey } from './keys.ts';
import { mostSteps } from './schema.ts';
import { inlineSecret, inlineSecretInWords } from './secrets.ts';
import type { PlanText } from './source.ts';

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

export interface Plan {
  readonly steps: readonly Step[];
  readonly keepGoing: boolean | undefined;
}

/** Mistakes that are told at once. */
const mostTold = 50;

/**
 * Reads and checks a whole plan.
 * @param successor what takes over after it
 * @throws UsageError with every mistake, each with its line and column
 */
export async function readPlan(
  { text, origin }: PlanText,
  context: Pick<Context, 'commands' | 'environment' | 'redactor' | 'host'>,
  successor?: readonly string[],
): Promise<Plan> {
  let root: YamlNode;
  try {
    root = parseYamlNodes(text);
  } catch (error) {
    if (error instanceof YamlError) throw new UsageError(`${where(origin, error.at)}: ${error.message}`);
    throw error;
  }
  if (root.kind === 'scalar' && root.value === null)
    throw new UsageError(`${where(origin, root.at)}: the plan is empty; write steps: and a list of them`);
  const shape = await readShape(root, context.commands);
  const mistakes: string[] = [];
  const steps = shape.steps.map((step) => readStep(step, origin, { ...context, successor }, mistakes));
  if (shape.misshapen !== undefined)
    mistakes.push(...(await explain(root, shape.misshapen, context.commands, origin, mistakes)));
  const links = await linkMistakes(shape.misshapen === undefined ? steps : linksIn(root));
  mistakes.push(...links.map(({ at, text: what }) => `${where(origin, at)}: ${what}`));
  if (mistakes.length > 0) throw refusal(origin, [...new Set(mistakes)]);
  return { steps, keepGoing: shape.keepGoing };
}

function refusal(origin: string, mistakes: readonly string[]): UsageError {
  if (mistakes.length === 1) return new UsageError(mistakes[0] ?? '');
  const rest = mistakes.length > mostTold ? [`and ${mistakes.length - mostTold} more`] : [];
  const sorted = mistakes.toSorted((a, b) => placeOf(a, origin) - placeOf(b, origin));
  return new UsageError([`${origin} has ${mistakes.length} mistakes`, ...sorted.slice(0, mostTold), ...rest]);
}

/** The line and column that a mistake begins with, as in `plan.yaml:3:5: …`, as a number to sort by. */
function placeOf(mistake: string, origin: string): number {
  const [line, column] = mistake.slice(origin.length + 1).split(':', 2);
  // A plan has at most 1 MiB, and so has a line of it.
  return Number(line) * 2 ** 21 + Number(column);
}

function where(origin: string, { line, column }: Position): string {
  return `${origin}:${line}:${column}`;
}

/** A plan whose keys are known and whose values are of the right kind, no more. */
interface Shape {
  readonly steps: readonly StepShape[];
  readonly keepGoing: boolean | undefined;
  /** The first place that is not so; then of each step only what is right is there. */
  readonly misshapen?: Misshapen;
}

interface StepShape {
  readonly at: Position;
  readonly command: AnyCommand | undefined;
  readonly values: readonly {
    readonly key: StepKey;
    readonly name: string;
    readonly texts: readonly Text[];
  }[];
  /** Keys that are missing or not of the right kind: what follows from their absence is no mistake of its own. */
  readonly lost: readonly (StepKey['kind'] | 'unknown')[];
}

interface Text {
  readonly text: string;
  readonly at: Position;
}

/** The plan is not of the shape that its schema tells; the schema knows the words for it. */
class Misshapen extends Error {
  readonly at: Position;

  constructor(at: Position, message: string) {
    super(message);
    this.at = at;
  }
}

async function readShape(root: YamlNode, commands: CommandList): Promise<Shape> {
  const wrong: Misshapen[] = [];
  const told = (error: unknown): undefined => {
    if (!(error instanceof Misshapen)) throw error;
    wrong.push(error);
  };
  let items: readonly YamlNode[] = [];
  let keepGoing: boolean | undefined;
  try {
    ({ items, keepGoing } = readTop(root));
  } catch (error) {
    told(error);
    items = stepsIn(root);
  }
  const read = async (item: YamlNode) => readStepShape(asMap(item, 'a step'), commands, told);
  const steps = await Promise.all(items.map((item) => read(item).catch(told)));
  const [misshapen] = wrong;
  return {
    steps: steps.filter((step) => step !== undefined),
    keepGoing,
    ...(misshapen === undefined ? {} : { misshapen }),
  };
}

function readTop(root: YamlNode): {
  readonly items: readonly YamlNode[];
  readonly keepGoing: boolean | undefined;
} {
  const plan = asMap(root, 'the plan');
  const known = new Set(['steps', 'keep-going']);
  for (const { key, at } of plan.entries) if (!known.has(key)) throw new Misshapen(at, `unknown key ${key}`);
  const steps = valueOf(plan, 'steps');
  if (steps?.kind !== 'list' || steps.items.length === 0)
    throw new Misshapen(steps?.at ?? plan.at, 'the plan needs a list of steps');
  if (steps.items.length > mostSteps)
    throw new Misshapen(
      steps.at,
      `the plan has ${steps.items.length} steps; at most ${mostSteps} are allowed`,
    );
  const going = valueOf(plan, 'keep-going');
  if (going !== undefined && !(going.kind === 'scalar' && typeof going.value === 'boolean'))
    throw new Misshapen(going.at, 'keep-going must be true or false');
  return { items: steps.items, keepGoing: going?.value as boolean | undefined };
}

/** The steps of a plan that may be misshapen; none where they are too many to be looked at. */
function stepsIn(root: YamlNode): readonly YamlNode[] {
  const steps = root.kind === 'map' ? valueOf(root, 'steps') : undefined;
  return steps?.kind === 'list' && steps.items.length <= mostSteps ? steps.items : [];
}

/** Names and needs of steps, of which other keys may be wrong. */
function linksIn(root: YamlNode): readonly Linked[] {
  return stepsIn(root).flatMap((step) => {
    const name = step.kind === 'map' ? valueOf(step, 'name') : undefined;
    if (step.kind !== 'map' || name?.kind !== 'scalar' || name.text === '') return [];
    const needs = valueOf(step, 'needs');
    const given = needs?.kind === 'list' ? needs.items : needs === undefined ? [] : [needs];
    return [
      {
        name: name.text,
        at: name.at,
        needs: given.flatMap((need) =>
          need.kind === 'scalar' && need.text !== '' ? [{ name: need.text, at: need.at }] : [],
        ),
      },
    ];
  });
}

async function readStepShape(
  step: YamlMap,
  commands: CommandList,
  told: (error: unknown) => undefined,
): Promise<StepShape> {
  const uses = valueOf(step, 'uses');
  const command = uses === undefined ? undefined : await loadUsed(uses, commands);
  const keys = keysOf(command);
  const lost: (StepKey['kind'] | 'unknown')[] = [];
  for (const required of requiredKeys(command, (name) => valueOf(step, name) !== undefined))
    if (valueOf(step, required) === undefined) {
      told(new Misshapen(step.at, `${subjectOf(step)}"${required}" is missing`));
      lost.push(keys.get(required)?.kind ?? 'unknown');
    }
  const values = step.entries.flatMap(({ key: name, at, value }) => {
    const key = keys.get(name);
    try {
      if (key === undefined) throw new Misshapen(at, `unknown key ${name}`);
      return [{ key, name, texts: textsOf(value, key) }];
    } catch (error) {
      told(error);
      lost.push(key?.kind ?? 'unknown');
      return [];
    }
  });
  return { at: step.at, command, values, lost };
}

function subjectOf(step: YamlMap): string {
  const name = valueOf(step, 'name');
  return name?.kind === 'scalar' ? `step ${JSON.stringify(name.text)}: ` : '';
}

async function loadUsed(uses: YamlNode, commands: CommandList): Promise<AnyCommand> {
  const name = uses.kind === 'scalar' ? uses.text : '';
  const command = Object.hasOwn(commands, name) ? await commands[name]?.() : undefined;
  if (command === undefined || command.step === false)
    throw new Misshapen(uses.at, 'uses must name a command');
  return command;
}

function textsOf(value: YamlNode, key: StepKey): readonly Text[] {
  const option = key.kind === 'about' || key.kind === 'option' ? key.option : undefined;
  const onlyList = key.kind === 'words';
  const severalTaken = onlyList || (key.kind === 'positional' && key.many) || option?.kind === 'list';
  if (
    value.kind === 'map' ||
    (value.kind === 'list' && !severalTaken) ||
    (value.kind === 'scalar' && onlyList)
  )
    throw new Misshapen(value.at, 'the value is of the wrong kind');
  const nodes = value.kind === 'list' ? value.items : [value];
  if (onlyList && nodes.length === 0) throw new Misshapen(value.at, 'the list is empty');
  const types = typesOf(key);
  return nodes.map((node) => {
    if (node.kind !== 'scalar' || !types.includes(typeof node.value))
      throw new Misshapen(node.at, 'the value is of the wrong kind');
    return { text: node.text, at: node.at };
  });
}

function typesOf(key: StepKey): readonly string[] {
  // `echo true` is no boolean, whatever YAML says.
  if (key.kind === 'words') return ['string', 'number', 'boolean'];
  const kind = key.kind === 'about' || key.kind === 'option' ? key.option.kind : undefined;
  if (kind === 'switch') return ['boolean'];
  return key.kind === 'name' || kind === 'secret' ? ['string'] : ['string', 'number'];
}

function asMap(node: YamlNode, what: string): YamlMap {
  if (node.kind !== 'map') throw new Misshapen(node.at, `${what} must be a map of keys`);
  return node;
}

function valueOf(map: YamlMap, name: string): YamlNode | undefined {
  return map.entries.find(({ key }) => key === name)?.value;
}

/**
 * Only a plan that is wrong pays for the schema: loading and compiling it takes longer than most steps.
 * @param told what is known already: of a value that its own reader refused, the schema says the same in other words
 */
async function explain(
  root: YamlNode,
  { at, message }: Misshapen,
  commands: CommandList,
  origin: string,
  told: readonly string[],
): Promise<string[]> {
  const { explainShape } = await import('./explain.ts');
  const mistakes = await explainShape(root, plainValue(root), commands);
  const found = mistakes.length > 0 ? mistakes : [{ at, text: message, ofValue: false }];
  return found
    .filter((one) => !(one.ofValue && told.some((line) => line.startsWith(`${where(origin, one.at)}: `))))
    .map((one) => `${where(origin, one.at)}: ${one.text}`);
}

function readStep(
  shape: StepShape,
  origin: string,
  context: Pick<Context, 'environment' | 'redactor' | 'host'> & {
    readonly successor: readonly string[] | undefined;
  },
  mistakes: string[],
): Step {
  const { command, at } = shape;
  const name = shape.values.find(({ key }) => key.kind === 'name')?.texts[0] ?? { text: '', at };
  const tell = (place: Position, text: string): void =>
    void mistakes.push(`${where(origin, place)}: ${text}`);
  if (!shape.lost.includes('name') && !new RegExp(namePattern).test(name.text))
    tell(name.at, `${JSON.stringify(name.text.slice(0, 80))} is not a valid name; ${nameWords}`);
  const keys = keysOf(command);
  const guarded = <T>(action: () => T): T | undefined => {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      // What is wrong with one value knows its line; what is missing is the step's.
      if (error.lines.every((line) => line.startsWith(`${origin}:`)))
        mistakes.push(...error.lines.map((line) => inKeys(line, keys, command)));
      else tell(at, `step ${JSON.stringify(name.text)}: ${inKeys(error.message, keys, command)}`);
      return undefined;
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
  if (command === undefined && words?.[0] !== undefined) {
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
    const whole = !shape.lost.includes('positional');
    const parsed = whole
      ? guarded(() => [parsePositionals(command, positionals, literal, context.redactor)])
      : undefined;
    const after = command.afterDashes === 'successor' ? context.successor : words;
    if (values !== undefined && parsed !== undefined && shape.lost.length === 0) {
      const options = values;
      guarded(() => command.check?.({ options, limited, positionals: parsed[0], command: after }));
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

/** A command's words for its flags, in those of a plan: `--to PATH` is `to: PATH`. */
function inKeys(
  message: string,
  keys: ReadonlyMap<string, StepKey>,
  command: AnyCommand | undefined,
): string {
  const words = [...keys].filter(([, key]) => key.kind === 'positional').map(([name]) => name);
  // `initbox wait-dns a.b.c` is `names: a.b.c`.
  const [, before, word] = /^(.*)initbox ([a-z-]+ [^-\s]\S*)$/s.exec(message) ?? [];
  if (word !== undefined && words.length === 1 && word.startsWith(`${command?.name} `))
    return `${inKeys(before ?? '', keys, command)}${words[0]}: ${word.slice((command?.name.length ?? 0) + 1)}`;
  // An example of a command line stays one.
  return message
    .replace(
      /initbox .*|--([a-z][a-z0-9-]*)( [A-Z]{2,}\b)?/gs,
      (whole, name: string | undefined, value: string | undefined) =>
        name !== undefined && keys.has(name) ? `${name}${value === undefined ? '' : `:${value}`}` : whole,
    )
    .replaceAll('a command after --', keys.has('command') ? 'a command' : 'a command after -- of run');
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

function secretWords(what: string): string {
  return `${what} stands in the plan, where everybody can read it; use a file, or a variable: $(NAME)`;
}

/** @returns whether there was none */
function refuseSecrets({ values }: StepShape, tell: (at: Position, text: string) => void): boolean {
  const found = values.flatMap(({ key, name, texts }) => {
    if (key.kind === 'words') {
      const secret = inlineSecretInWords(texts.map(({ text }) => text));
      return secret === undefined ? [] : [{ name, what: secret.what, at: texts[secret.index]?.at }];
    }
    return texts.flatMap(({ text, at }) => {
      const isFile = key.kind === 'option' && flagName(key.name, key.option).endsWith('-file');
      const what =
        inlineSecret(text) ??
        (isMistypedPassword(text) ? 'an address with a password' : undefined) ??
        (isFile && secretAsPath(text) ? 'a secret in place of the name of its file' : undefined);
      return what === undefined ? [] : [{ name, what, at }];
    });
  });
  for (const { name, what, at } of found) if (at !== undefined) tell(at, `${name}: ${secretWords(what)}`);
  return found.length === 0;
}

/** `http//user:pw@host`, `user:pw@host`; a reference such as $(DB_PASSWORD) is none. */
function isMistypedPassword(text: string): boolean {
  const password = passwordIn(text);
  return password !== undefined && !password.startsWith('$');
}
