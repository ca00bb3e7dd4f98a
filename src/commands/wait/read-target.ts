import { quotingAdvice } from '../../core/advice.ts';
import { flagName, type Options, type Values } from '../../core/options/option.ts';
import { resolveOptions, type Given, type ReadSecret } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { unreadSecret } from '../../core/redaction/redactor.ts';
import { cutUserinfo, isCutUserinfo } from '../../core/userinfo.ts';
import type { AnyKind, ReadContext, ReadTarget } from './kind.ts';
import { everyTargetOptions } from './options.ts';
import { parameterValue, splitParameters } from './parameters.ts';
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
    if (error instanceof UsageError && behind.includes('@')) throw cut();
    throw error;
  }
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
  const byFlag = new Map(Object.entries(options).map(([name, option]) => [flagName(name, option), name]));
  const { address, parameters } = splitParameters(
    text.reveal(),
    kind.optionsBehind ?? '?',
    (name) => kind.foreignParameters === true && !byFlag.has(name),
  );
  const given = new Map<string, Given[]>();
  for (const parameter of parameters) {
    const option = byFlag.get(parameter.name);
    if (option === undefined)
      throw new UsageError(`${origin}: ${await unknownOption(parameter.name, kind, byFlag)}`);
    const value = parameterValue(parameter, options[option]?.kind === 'switch', origin);
    given.set(option, [
      ...(given.get(option) ?? []),
      { text: value, origin: `${origin}: ${parameter.name}` },
    ]);
  }
  const values = resolved(options, given, context, readSecret);
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

function resolved(
  options: Options,
  given: ReadonlyMap<string, readonly Given[]>,
  { redactor }: Pick<ReadContext, 'redactor'>,
  readSecret: ReadSecret | undefined,
): Values<Options> {
  // No variable stands in for what one target leaves out: the flags' variables are those of all targets.
  if (readSecret !== undefined) return resolveOptions(options, given, {}, redactor, readSecret);
  const isSecret = (name: string): boolean => options[name]?.kind === 'secret';
  const readable = Object.fromEntries(Object.entries(options).filter(([name]) => !isSecret(name)));
  const secrets = Object.keys(options)
    .filter(isSecret)
    .map((name) => [name, given.has(name) ? unreadSecret : undefined]);
  return {
    ...resolveOptions(readable, given, {}, redactor, () => ''),
    ...(Object.fromEntries(secrets) as Values<Options>),
  };
}

async function unknownOption(
  name: string,
  kind: AnyKind,
  byFlag: ReadonlyMap<string, string>,
): Promise<string> {
  const names = [...byFlag.keys()];
  const { nearest } = await import('../../clients/nearest.ts');
  const near = nearest(name, names);
  const guess = near === undefined ? `it takes ${names.join(', ')}` : `did you mean ${near}?`;
  const shown = /^[\w.-]{1,40}$/.test(name) ? ` ${name}` : '';
  return `unknown option${shown} behind the ${kind.optionsBehind ?? '?'}; ${guess}`;
}
