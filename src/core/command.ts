import { quotingAdvice } from './advice.ts';
import type { ClusterRights } from './cluster-rights.ts';
import type { Context, Environment } from './context.ts';
import type { Options, Values } from './options/option.ts';
import type { Given } from './options/resolve-options.ts';
import { everyOne, UsageError, type Failed, type Outcome } from './outcome.ts';

/** The words of a command line that belong to no option. */
export interface Positionals<P> {
  /** How help writes them: `TARGET…`. */
  readonly usage: string;
  /** Their name in messages and in a plan: `targets`. */
  readonly name: string;
  readonly description: string;
  /** The keys of a plan's step in their place, in this order, where one list under `name` would read badly. */
  readonly keys?: readonly PositionalKey[];
  /** Reads them all; throws UsageError. */
  readonly parse: (given: readonly Given[], redact: SecretSink) => P;
}

/** A key of a plan's step for some of the words. */
export interface PositionalKey {
  readonly key: string;
  readonly many?: boolean;
  /** It must be there, unless one of these options is. */
  readonly unless?: readonly string[];
}

/**
 * Registers a secret that turned up inside an argument, and warns that arguments can be read by others; not of what only may
 * be one.
 */
export type SecretSink = (value: string, origin: string, sure?: boolean) => void;

/** What a command's body gets: parsed values, never argv or the environment. */
export interface Input<O extends Options, P> {
  readonly options: Values<O>;
  readonly positionals: P;
  /** The words after `--`; undefined where there was no `--`. */
  readonly command: readonly string[] | undefined;
  /** Whether somebody said how long it may take (`--timeout`); if not, its parts may have bounds of their own. */
  readonly limited: boolean;
  /** It is a step of a plan. */
  readonly inPlan?: boolean;
}

/** What a check may look at. */
export interface Surroundings extends Pick<Context, 'redactor' | 'host' | 'paths'> {
  /** Undefined where nothing is asked of the variables: those of a step that its `when` leaves out may be missing. */
  readonly environment: Environment | undefined;
}

/** A command is a value; everything that users see of it is made from it. */
export interface Command<O extends Options = Options, P = unknown> {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs for help and the command's page. */
  readonly description: string;
  readonly examples: readonly string[];
  readonly positionals?: Positionals<P>;
  readonly options: O;
  /** What the words after `--` are: what takes over, what runs under the lock, or an error. */
  readonly afterDashes: 'successor' | 'child' | 'nothing';
  /** The default of `--timeout`; undefined where the parts have bounds of their own. */
  readonly timeout: string | undefined;
  /** The default where what is asked for is work of unknown length, in milliseconds; positionals are undefined where they are wrong. */
  readonly longWork?: {
    readonly limit: number;
    readonly asked: (options: Values<O>, positionals: P | undefined) => boolean;
  };
  /** False where it cannot be a step of a plan. */
  readonly step?: false;
  /** The JSON Schemas of the files that it reads, by the names under which `initbox schema` prints them. */
  readonly schemas?: Readonly<Record<string, (commands: CommandList) => Promise<object>>>;
  /**
   * Whether the values fit together, and with the variables, as far as that can be told without a file or a server: of a
   * plan this is asked before anything runs. Of a `-file` option that is given, the value is `unreadSecret`. Throws
   * UsageError, as `run` does for the same.
   */
  check?(input: Input<O, P>, around: Surroundings): void | Promise<void>;
  /**
   * What `run` with the same input needs of clusters' API servers: of commands that ask one.
   * @throws UsageError
   */
  rights?(input: Input<O, P>, context: Context): Promise<readonly ClusterRights[] | Failed>;
  run(input: Input<O, P>, context: Context): Promise<Outcome>;
}

/** Keeps the types of a command's options and positionals together. */
export function defineCommand<O extends Options, P>(command: Command<O, P>): Command<O, P> {
  return command;
}

/** A command whose types do not matter to the caller: it is handed only what its own definition parsed. */
// oxlint-disable-next-line typescript/no-explicit-any -- run's input is contravariant; cli.ts pairs it with its own options
export type AnyCommand = Command<any, any>;

/** Every command by its name, loaded when it is asked for. */
export type CommandList = Readonly<Record<string, () => Promise<AnyCommand>>>;

/**
 * Reads each positional by itself.
 * @throws UsageError with the position of each that is wrong, or where there are too few
 */
export function each<T>(
  what: string,
  parse: (text: string, secret: (value: string, sure?: boolean) => void, origin: string) => T,
  limits: { readonly min: number; readonly max?: number; readonly example: string },
): (given: readonly Given[], sink: SecretSink) => readonly T[] {
  return (given, sink) => {
    if (given.length < limits.min)
      throw new UsageError(`no ${what} was given; for example: ${limits.example}`);
    if (limits.max !== undefined && given.length > limits.max) {
      throw new UsageError(
        `${given.length} words were given where ${limits.max === 1 ? `one ${what} is` : `at most ${limits.max} are`} taken`,
      );
    }
    return everyOne(given, ({ text, origin }) => {
      try {
        return parse(text, (value, sure) => sink(value, origin, sure), origin);
      } catch (error) {
        throw new UsageError(`${origin}: ${(error as Error).message}${quotingAdvice(text)}`);
      }
    });
  };
}
