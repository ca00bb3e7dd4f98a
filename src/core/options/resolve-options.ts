import { quotingAdvice } from '../advice.ts';
import type { Environment } from '../context.ts';
import { hideMisplacedIn, hideSecretAsPath, withoutSecrets } from '../misplaced-secret.ts';
import { UsageError } from '../outcome.ts';
import type { Redactor } from '../redaction/redactor.ts';
import { refuseUnexpanded } from '../template-variables.ts';
import { meaningOf } from './meaning.ts';
import { flagName, twinName, type Option, type Options, type Values } from './option.ts';

/** One value as it was given, and where: `--timeout`, `INITBOX_TIMEOUT`, `plan.yaml:3:5 timeout`. */
export interface Given {
  readonly text: string;
  readonly origin: string;
}

/** Reads a secret's file; throws a UsageError that names the origin. */
export type ReadSecret = (file: Given) => string;

/** What was given for each option, by name. */
export type GivenOptions = ReadonlyMap<string, readonly Given[]>;

/**
 * Turns what was given into values: the flag wins over its twin, the twin over the default.
 * @throws UsageError naming the origin of the first value that is wrong
 */
export function resolveOptions<O extends Options>(
  options: O,
  given: GivenOptions,
  environment: Environment,
  redactor: Redactor,
  readSecret: ReadSecret,
): Values<O> {
  const values: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  for (const [name, option] of Object.entries(options)) {
    const sources = givenFor(name, option, given, environment);
    // A URL given where a file's path or a name is wanted comes back in the error.
    for (const { text } of sources) {
      hideMisplacedIn(flagName(name, option), text, redactor);
      if (flagName(name, option).endsWith('-file')) hideSecretAsPath(text, redactor);
    }
    if (sources[0] !== undefined) origins.set(name, sources[0].origin);
    values[name] = sources.length === 0 ? option.fallback : valueOf(option, sources, redactor, readSecret);
  }
  refuseBoth(options, origins);
  return values as Values<O>;
}

/** A flag wins over its own variable, not over what another option says. */
function refuseBoth(options: Options, origins: ReadonlyMap<string, string>): void {
  for (const [name, { insteadOf = [] }] of Object.entries(options)) {
    const one = origins.get(name);
    const other = insteadOf.map((given) => origins.get(given)).find((given) => given !== undefined);
    if (one !== undefined && other !== undefined)
      throw new UsageError(`${other} and ${one} cannot be combined; use one, not both`);
  }
}

/** What was given for one option: its flag, else its twin. */
export function givenFor(
  name: string,
  option: Option,
  given: GivenOptions,
  environment: Environment,
): readonly Given[] {
  return given.get(name) ?? fromTwin(name, option, environment);
}

function fromTwin(name: string, option: Option, environment: Environment): readonly Given[] {
  const origin = twinName(name, option);
  const whole = environment[origin];
  if (whole === undefined) return [];
  const texts = option.kind === 'list' ? whole.split(',').map((part) => part.trim()) : [whole];
  return texts.map((text) => ({ text, origin }));
}

function valueOf(
  option: Option,
  sources: readonly Given[],
  redactor: Redactor,
  readSecret: ReadSecret,
): unknown {
  if (option.kind === 'list') return sources.map((given) => parseOne(option, given));
  const [first, second] = sources;
  if (first === undefined) return option.fallback;
  if (second !== undefined && option.kind !== 'switch') {
    throw new UsageError(`${first.origin} was given ${sources.length} times; it takes one value`);
  }
  if (option.kind === 'secret') {
    checkExpanded(option, [first]);
    const content = readSecret(first);
    refuseUnexpanded('secret', content, `the file ${first.text} (${first.origin})`);
    return redactor.secret(content);
  }
  return parseOne(option, sources.at(-1) ?? first);
}

function parseOne(option: Option, given: Given): unknown {
  refuseEmpty(option, given);
  checkExpanded(option, [given]);
  try {
    return option.parse(given.text);
  } catch (error) {
    const message = withoutSecrets((error as Error).message, given.text);
    throw new UsageError(`${given.origin}: ${message}${quotingAdvice(given.text)}`);
  }
}

function refuseEmpty(option: Option, { text, origin }: Given): void {
  if (text === '' && option.allowEmpty !== true)
    throw new UsageError(`${origin} is empty${option.placeholder ? `; it takes ${option.placeholder}` : ''}`);
}

/**
 * @throws UsageError where a reference in a path, a URL or a name was not replaced, a path is `-`, or any of them is empty or
 * blank
 */
export function checkExpanded(option: Option, sources: readonly Given[]): void {
  const meaning = meaningOf(option);
  if (meaning === undefined || meaning === 'text' || meaning === 'parsed') return;
  for (const given of sources) {
    refuseEmpty(option, given);
    refuseUnexpanded(meaning, given.text, given.origin);
  }
}

/** The names of all twins of a set of options. */
export function twinNames(options: Options): string[] {
  return Object.entries(options).map(([name, option]) => twinName(name, option));
}
