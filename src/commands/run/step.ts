import { plainValue, type Position } from '../../clients/yaml/nodes.ts';
import type { AnyCommand } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import type { Option, Options, Values } from '../../core/options/option.ts';
import { checkExpanded, resolveOptions, type Given } from '../../core/options/resolve-options.ts';
import { limitOf } from '../../core/options/shared-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { unreadSecret } from '../../core/redaction/redactor.ts';
import type { StepInput, StepUser } from '../../core/step.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readSecretFile } from '../../fs/input-file.ts';
import { givenPaths, refuseSharedPaths } from '../../fs/written-paths.ts';
import { readConditions, whyLeftOut, type Condition } from './condition.ts';
import { expandReferences, hasReference } from './expand.ts';
import type { Linked } from './graph.ts';
import { inKeys } from './in-keys.ts';
import { aboutStep, keysOf, mostOfName, namePattern, nameWords } from './keys.ts';
import { where } from './mistakes.ts';
import { refuseSecrets } from './secrets.ts';
import type { StepShape, Text } from './shape.ts';
import { readPositionals } from './step-positionals.ts';

export type StepWork =
  | { readonly kind: 'own'; readonly command: AnyCommand; readonly input: StepInput }
  | {
      readonly kind: 'any';
      readonly command: readonly string[];
      /** With `$(NAME)` where it was: what may be shown. */
      readonly written: readonly string[];
      readonly grace: number;
    };

/** On what conditions a step is done. */
export interface When {
  /** As the plan has it. */
  readonly written: unknown;
  /** All of it, for people. */
  readonly words: string;
  /** The variable's condition that leaves the step out, whatever comes. */
  readonly leftOut: string | undefined;
  /** What is judged when the step starts. */
  readonly later: readonly Condition[];
}

/** One step, checked; nothing of it has been done. */
export interface Step extends Linked {
  readonly when: When | undefined;
  readonly user: StepUser | undefined;
  readonly retries: number;
  /** Milliseconds before each further try; undefined where they grow. */
  readonly retryPause: number | undefined;
  /** Milliseconds for each try, 0 for none. */
  readonly tryLimit: number;
  /** Milliseconds for the step with all its tries, 0 for none, and where that was said. */
  readonly limit: number;
  readonly limitOrigin: string;
  readonly work: StepWork;
}

/** What a plan is read with. */
export interface PlanContext extends Pick<Context, 'environment' | 'redactor' | 'host' | 'paths' | 'signal'> {
  /** What takes over after the plan. */
  readonly successor: readonly string[] | undefined;
}

/**
 * Reads the values of one step, and has the command that it uses check them together.
 * @param mistakes gets what is wrong, each with its place
 */
export function readStep(
  shape: StepShape,
  origin: string,
  context: PlanContext,
  mistakes: string[],
): Promise<Step> {
  return new StepReader(shape, origin, context, mistakes).read();
}

type GivenByKey = Map<string, readonly Given[]>;

class StepReader {
  readonly #shape: StepShape;
  readonly #origin: string;
  readonly #context: PlanContext;
  readonly #mistakes: string[];
  readonly #name: Text;
  readonly #keys: ReturnType<typeof keysOf>;
  /** Origins of texts in which no variable was replaced: in these no secret may stand. */
  readonly #literal = new Set<string>();
  /** Origins of texts that name a variable: of a step that is left out they are not looked at. */
  readonly #open = new Set<string>();
  /** Whether the step is left out by a variable, or its condition is wrong: what it would find counts for nothing. */
  #leftOut = false;

  constructor(shape: StepShape, origin: string, context: PlanContext, mistakes: string[]) {
    this.#shape = shape;
    this.#origin = origin;
    this.#context = context;
    this.#mistakes = mistakes;
    this.#keys = keysOf(shape.command);
    this.#name = this.#textsOf('name')[0] ?? { text: '', at: shape.at };
  }

  async read(): Promise<Step> {
    const { command } = this.#shape;
    this.#checkName();
    const when = await this.#readWhen();
    const secretFree = refuseSecrets(this.#shape, (at, text) => this.#tell(at, text));
    const own = this.#given('option');
    const about = new Map([...this.#given('about'), ...pick(own, 'timeout')]);
    own.delete('timeout');
    const said = this.#resolveEach(optionsAbout(command), about);
    const user = said?.['user'] as StepUser | undefined;
    if (!this.#leftOut) this.#checkUser(user);
    this.#checkTexts();
    this.#checkRetries(about);
    const written = wordsOf(this.#shape);
    const words = written?.map((text) => expandReferences(text, this.#context.environment));
    this.#checkWords(words);
    const positionals = this.#positionals();
    const limitGiven = about.get('timeout')?.[0];
    const limited = limitGiven !== undefined;
    const values =
      command === undefined || !secretFree
        ? undefined
        : await this.#readOwn(command, { own, said, words, positionals, limited });
    return {
      name: this.#name.text,
      at: this.#name.at,
      // An empty one has been told.
      needs: this.#textsOf('needs').flatMap(({ text, at }) => (text === '' ? [] : [{ name: text, at }])),
      when,
      user,
      retries: (said?.['retries'] as number | undefined) ?? 0,
      retryPause: said?.['pause'] as number | undefined,
      tryLimit: (said?.['try-timeout'] as number | undefined) ?? 0,
      limit: limitOf(command, values, positionals, said?.['timeout'] as number | undefined, limited),
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

  /** The values for the command's options; it has checked them together with what else it is given. */
  async #readOwn(
    command: AnyCommand,
    {
      own,
      said,
      words,
      positionals,
      limited,
    }: {
      readonly own: GivenByKey;
      readonly said: Values<Options> | undefined;
      readonly words: readonly string[] | undefined;
      readonly positionals: readonly Given[];
      readonly limited: boolean;
    },
  ): Promise<Values<Options> | undefined> {
    const options = command.options as Options;
    const values = this.#resolveEach(withoutFiles(options), own);
    // Secrets' files are read when the step starts; their paths are there already.
    for (const [key, option] of Object.entries(options))
      if (option.kind === 'secret')
        this.#guarded(() => checkExpanded(option, this.#known(own.get(key) ?? [])));
    if (!this.#leftOut)
      try {
        const paths = givenPaths(options, (key) => own.get(key) ?? [], positionals);
        await refuseSharedPaths(paths, this.#context);
      } catch (error) {
        this.#tellError(error);
      }
    const known = this.#known(positionals);
    const unknown = known.length < positionals.length;
    // Several are told apart by their places.
    if (unknown && command.positionals?.keys !== undefined) return values;
    const parsed = readPositionals(command, known, {
      literal: this.#literal,
      shape: unknown ? { ...this.#shape, lost: [...this.#shape.lost, 'positional'] } : this.#shape,
      context: this.#context,
      guarded: (action) => this.#guarded(action),
    });
    if (values === undefined || parsed === undefined || said === undefined || this.#shape.lost.length > 0)
      return values;
    const { environment, ...around } = this.#context;
    // Without the values that are not looked at, it would miss them.
    if (unknown || [...own.values()].some((given) => this.#known(given).length < given.length)) return values;
    try {
      await command.check?.(
        {
          options: { ...values, ...unreadSecrets(options, own) },
          limited,
          inPlan: true,
          positionals: parsed[0],
          command: command.afterDashes === 'successor' ? this.#context.successor : words,
        },
        { ...around, environment: this.#leftOut ? undefined : environment },
      );
    } catch (error) {
      this.#tellError(error);
    }
    return values;
  }

  #checkName(): void {
    const { text, at } = this.#name;
    if (!this.#shape.lost.includes('name') && !new RegExp(namePattern).test(text))
      this.#tell(at, `${quotedValue(text, mostOfName)} is not a valid name; ${nameWords}`);
  }

  async #readWhen(): Promise<When | undefined> {
    const node = this.#shape.when;
    if (node === undefined) return undefined;
    const tell = (at: Position, text: string): void => this.#tell(at, text);
    const conditions = await readConditions(node, { environment: this.#context.environment, tell });
    this.#leftOut = true;
    if (conditions === undefined) return undefined;
    let leftOut: string | undefined;
    try {
      const known = conditions.filter(({ path }) => path === undefined);
      leftOut = await whyLeftOut(known, this.#context);
      this.#leftOut = leftOut !== undefined;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      tell(node.at, error.lines.join('; '));
    }
    return {
      written: plainValue(node),
      words: conditions.map(({ words }) => words.yes).join(' and '),
      leftOut,
      later: conditions.filter(({ path }) => path !== undefined),
    };
  }

  /** What is only said of further tries has no meaning without any. */
  #checkRetries(about: GivenByKey): void {
    if (about.has('retries') || this.#shape.lost.includes('about')) return;
    for (const name of ['pause', 'try-timeout'])
      if (about.has(name))
        this.#tell(
          this.#textsOf(name)[0]?.at ?? this.#shape.at,
          `${name}: it needs retries beside it${name === 'try-timeout' ? '; the time of a step with one try is its timeout' : ''}`,
        );
  }

  /** Less what names variables, of a step that is left out. */
  #known(given: readonly Given[]): readonly Given[] {
    return this.#leftOut ? given.filter(({ origin }) => !this.#open.has(origin)) : given;
  }

  #checkUser(user: StepUser | undefined): void {
    const { uid } = this.#context.host;
    if (user === undefined || uid === 0) return;
    this.#tell(
      this.#textsOf('user')[0]?.at ?? this.#shape.at,
      `user: only root can become another user, and this is UID ${uid} (set runAsUser: 0 for this container)`,
    );
  }

  #checkTexts(): void {
    for (const { name, texts } of this.#shape.values)
      for (const { text, at } of texts)
        if (text.includes('\0'))
          this.#tell(at, `${name}: it holds a NUL (\\0), which no argument or path can`);
  }

  /** Of the words behind the program a shell may make something. */
  #checkWords(words: readonly string[] | undefined): void {
    const program = words?.[0];
    if (program === undefined) return;
    const place = this.#shape.values.find(({ key }) => key.kind === 'words')?.texts[0]?.at ?? this.#shape.at;
    const open = this.#leftOut && hasReference(wordsOf(this.#shape)?.[0] ?? '');
    if (!this.#shape.lost.includes('words') && !open)
      this.#guarded(() => refuseUnexpanded('path', program, `${where(this.#origin, place)}: command`));
    if (program === '' && !open) this.#tell(this.#shape.at, `${this.#subject()}: its command is empty`);
  }

  #positionals(): readonly Given[] {
    return this.#shape.values
      .flatMap(({ key, name, texts }) =>
        key.kind === 'positional'
          ? [{ index: key.index, given: texts.map((text) => this.#give(name, text)) }]
          : [],
      )
      .toSorted((a, b) => a.index - b.index)
      .flatMap(({ given }) => given);
  }

  #textsOf(name: string): readonly Text[] {
    return this.#shape.values.find((value) => value.name === name)?.texts ?? [];
  }

  #given(kind: 'about' | 'option'): GivenByKey {
    const found: GivenByKey = new Map();
    for (const { key, name, texts } of this.#shape.values)
      if (key.kind === kind)
        found.set(
          key.name,
          texts.map((text) => this.#give(name, text)),
        );
    return found;
  }

  #give(key: string, { text, at }: Text): Given {
    const value = expandReferences(text, this.#context.environment);
    const given = { text: value, origin: `${where(this.#origin, at)}: ${key}` };
    if (value === text) this.#literal.add(given.origin);
    if (hasReference(text)) this.#open.add(given.origin);
    return given;
  }

  /** Each value by itself first, so that one mistake does not hide another. */
  #resolveEach(options: Options, all: ReadonlyMap<string, readonly Given[]>): Values<Options> | undefined {
    const given = new Map(
      [...all].flatMap(([key, values]) => {
        const known = this.#known(values);
        return values.length > 0 && known.length === 0 ? [] : [[key, known] as const];
      }),
    );
    const resolve = (some: Options, values: ReadonlyMap<string, readonly Given[]>) =>
      this.#guarded(() => resolveOptions(some, values, {}, this.#context.redactor, readSecretFile));
    const each = Object.entries(options).flatMap(([key, option]) =>
      (option.kind === 'list' ? (given.get(key) ?? []).map((one) => [one]) : [given.get(key) ?? []]).map(
        (values) => resolve({ [key]: option }, new Map(values.length === 0 ? [] : [[key, values]])),
      ),
    );
    return each.includes(undefined) ? undefined : resolve(options, given);
  }

  #guarded<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      return this.#tellError(error);
    }
  }

  #tellError(error: unknown): undefined {
    if (!(error instanceof UsageError)) throw error;
    for (const line of error.lines) {
      const words = inKeys(line, this.#keys, this.#shape.command);
      // What is wrong with one value knows its line; what is missing is the step's.
      if (line.startsWith(`${this.#origin}:`)) this.#mistakes.push(words);
      else this.#tell(this.#shape.at, `${this.#subject()}: ${words}`);
    }
    return undefined;
  }

  #tell(at: Position, text: string): void {
    this.#mistakes.push(`${where(this.#origin, at)}: ${text}`);
  }

  #subject(): string {
    return `step ${quotedValue(this.#name.text, mostOfName)}`;
  }
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
