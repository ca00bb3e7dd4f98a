import type { ClusterRights } from '../../core/cluster-rights.ts';
import type { Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Options, Values } from '../../core/options/option.ts';
import type { Failed } from '../../core/outcome.ts';
import type { Target } from '../../wait/attempt.ts';
import type { WaitStage } from '../../wait/stage.ts';

/** One target as somebody wrote it, its options taken off its address. */
export interface GivenTarget<O extends Options> {
  /** `redis://app@cache:6379/0`. May hold a password: what is shown of it is up to the kind. */
  readonly address: string;
  /** In small letters; empty where there was none. */
  readonly scheme: string;
  /** Of an option that is a secret, `unreadSecret` stands for a file that must not be read yet. */
  readonly options: Values<O>;
  /** Milliseconds that one attempt may take; 0 where nothing limits it. */
  readonly limit: number;
  /** Its end is waited for: it says so itself, or the flag does for all. */
  readonly invert: boolean;
}

/** What a kind may look at while it reads a target: no server, and no file. */
export interface ReadContext extends Pick<Surroundings, 'environment' | 'redactor' | 'host' | 'paths'> {
  /** Registers what must never be printed. */
  readonly secret: (value: string) => void;
  /** It stands in a step of a plan, not on a command line. */
  readonly inPlan: boolean;
}

/** A target that was read: everything about it that can be wrong without a server has been looked at. */
export interface ReadTarget {
  /** Safe to print: `cache:6379/0`. */
  readonly name: string;
  /** Milliseconds for one attempt of it, unless somebody says otherwise, where that is not the kind's. */
  readonly limit?: number;
  /** Attempts are made one after another, with this fixed pause in milliseconds unless somebody says otherwise. */
  readonly serial?: { readonly interval: number };
  /**
   * Gets ready to try it: reads files, and throws UsageError for what is wrong with them. Connects to nothing yet.
   */
  open(context: Context): OpenTarget | Promise<OpenTarget>;
  /** What it needs of a cluster's API server, for --print-role: of kinds that ask one. @throws UsageError */
  readonly rights?: (context: Context) => Promise<ClusterRights | Failed>;
}

/** What is tried. `stages` are those that its attempts report by `probe.reached`; what it keeps open is disposed of at the end. */
export interface OpenTarget extends Target, Partial<Disposable & AsyncDisposable> {
  readonly stages: readonly WaitStage[];
}

/**
 * A kind of thing to wait for. It lives in a folder of its own below `kinds/`, and a line of `kinds/index.ts` names its
 * schemes and loads it, once a target asks for it.
 */
export interface TargetKind<O extends Options = Options> {
  /** What one target takes, as query parameters named like flags, beside what every target takes (options.ts). */
  readonly options: O;
  /** Options stand behind a `#`, because the query is the server's own. */
  readonly optionsBehind?: '#';
  /** Parameters that are no options stay in the address: they are another program's, and the kind knows them. */
  readonly foreignParameters?: true;
  /** Milliseconds for one attempt, unless somebody says otherwise; unset, attempts overlap as connects do, without a limit. */
  readonly limit?: number;
  /**
   * Reads a target. Called more than once, also to check a plan before anything runs: `environment` is undefined where
   * variables must not be looked at.
   * @throws Error, or UsageError, that says what is accepted, and shows no secret
   */
  read(given: GivenTarget<O>, context: ReadContext): ReadTarget;
}

/** Keeps the types of a kind's options together. */
export function defineKind<O extends Options>(kind: TargetKind<O>): AnyKind {
  return kind;
}

/** A kind whose types do not matter to the caller: it is handed only what its own options parsed. */
// oxlint-disable-next-line typescript/no-explicit-any -- read's input is contravariant; read-target.ts pairs it with its own options
export type AnyKind = TargetKind<any>;
