import { optionsGiven, resolveParameters, splitParameters } from '../../clients/connection/url-parameters.ts';
import { quotingAdvice } from '../../core/advice.ts';
import { flagName, type Options, type Values } from '../../core/options/option.ts';
import type { ReadSecret } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { cutUserinfo, isCutUserinfo } from '../../core/userinfo.ts';
import type { AnyKind, ReadContext, ReadTarget } from './kind.ts';
import { everyTargetOptions } from './options.ts';
import { spellingOf, type Spelling } from './spelling.ts';
import type { RecognisedTarget } from './target.ts';

/** A target that was read, with what holds for it. */
export interface TargetWithOptions {
  /** The name of its kind. */
  readonly kind: string;
  readonly target: ReadTarget;
  /** What it says for itself, and what the flags say where it says nothing. */
  readonly options: Values<typeof everyTargetOptions>;
  /** Milliseconds for one attempt; undefined where nobody limits it, not even the kind. */
  readonly limit: number | undefined;
  /** How its options are named to people. */
  readonly spelling: Spelling;
}

/**
 * Takes a target apart and has its kind read it.
 * @param flags what was said for all targets
 * @param readSecret undefined where files must not be read yet
 * @throws UsageError with each mistake
 */
export async function readTarget(
  recognised: RecognisedTarget,
  kind: AnyKind,
  flags: Values<typeof everyTargetOptions>,
  context: Omit<ReadContext, 'secret'>,
  readSecret: ReadSecret | undefined,
): Promise<TargetWithOptions> {
  const { text, origin, scheme } = recognised;
  const mark = kind.optionsBehind ?? '?';
  const cut = (): UsageError => {
    const where = scheme === '' ? 'the target' : `the ${scheme} URL`;
    return new UsageError(`${origin}: ${where} ${cutUserinfo}, or an @ behind its host as %40`);
  };
  if (isCutTarget(recognised, mark)) throw cut();
  try {
    return await readWhole(recognised, kind, flags, context, readSecret);
  } catch (error) {
    // What is wrong may be a part of a password that seems to be an option.
    const behind = text.reveal().split(mark).slice(1).join(mark);
    if (error instanceof UsageError && (behind.includes('@') || (behind !== '' && endsInAWord(recognised))))
      throw cut();
    throw error;
  }
}

/** Whether a word stands where its port should: `redis://user:pa` is the beginning of a password, and what is behind it the rest. */
function endsInAWord({ text }: RecognisedTarget): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?[\w.%-]+:[^\d@$<{/?#][^:@/?#]*[/?#]/i.test(text.reveal());
}

/** Whether the user or password of a target seems to be cut short. @param mark what its options stand behind */
function isCutTarget({ text, scheme, kind }: RecognisedTarget, mark: '?' | '#'): boolean {
  const [, prefix, rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(text.reveal()) ?? [];
  // `file:` and `exec:` name no host.
  if (prefix === undefined ? kind !== 'tcp' || scheme !== '' : kind === 'file' || kind === 'exec')
    return false;
  return isCutUserinfo(rest, mark === '#');
}

async function readWhole(
  { text, origin, scheme, kind: kindName }: RecognisedTarget,
  kind: AnyKind,
  flags: Values<typeof everyTargetOptions>,
  context: Omit<ReadContext, 'secret'>,
  readSecret: ReadSecret | undefined,
): Promise<TargetWithOptions> {
  const options: Options = { ...everyTargetOptions, ...kind.options };
  const names = Object.entries(options).map(([name, option]) => flagName(name, option));
  const { address, parameters } = splitParameters(
    text.reveal(),
    kind.optionsBehind ?? '?',
    (name) => kind.foreignParameters === true && !names.includes(name),
  );
  const { given, unknown } = optionsGiven(options, parameters, origin);
  if (unknown !== undefined) throw new UsageError(`${origin}: ${await unknownOption(unknown, kind, names)}`);
  const values = resolveParameters(options, given, context.redactor, readSecret);
  const own = Object.fromEntries(
    Object.keys(everyTargetOptions).map((name) => [
      name,
      given.has(name) ? values[name] : flags[name as keyof typeof flags],
    ]),
  ) as Values<typeof everyTargetOptions>;
  const limit = own['attempt-timeout'] ?? kind.limit;
  const spelling = spellingOf(kind);
  try {
    const target = kind.read(
      { address, scheme, options: values, limit: limit ?? 0, invert: own.invert },
      { ...context, secret: (value: string) => void context.redactor.secret(value) },
    );
    return { kind: kindName, target, options: own, limit: limit ?? target.limit, spelling };
  } catch (error) {
    const lines = error instanceof UsageError ? error.lines : [(error as Error).message];
    const advice = quotingAdvice(text.reveal());
    throw new UsageError(
      lines.map((line) => `${line.startsWith(origin) ? line : `${origin}: ${spelling.text(line)}`}${advice}`),
    );
  }
}

async function unknownOption(name: string, kind: AnyKind, names: readonly string[]): Promise<string> {
  const { nearest } = await import('../../clients/nearest.ts');
  const near = nearest(name, names);
  const guess = near === undefined ? `it takes ${names.join(', ')}` : `did you mean ${near}?`;
  const shown = /^[\w.-]{1,40}$/.test(name) ? ` ${name}` : '';
  return `unknown option${shown} behind the ${kind.optionsBehind ?? '?'}; ${guess}`;
}
