import { flagName, type Options, type Values } from '../../core/options/option.ts';
import { resolveOptions, type Given, type ReadSecret } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { unreadSecret, type Redactor } from '../../core/redaction/redactor.ts';

interface UrlParameter {
  readonly name: string;
  /** As it stands there; undefined without a `=`. */
  readonly value: string | undefined;
}

/**
 * Takes the options off an address.
 * @param mark what they stand behind
 * @param isOther whether a parameter is another program's, and stays
 */
export function splitParameters(
  text: string,
  mark: '?' | '#',
  isOther: (name: string) => boolean,
): { readonly address: string; readonly parameters: readonly UrlParameter[] } {
  const at = text.indexOf(mark);
  if (at < 0) return { address: text, parameters: [] };
  const parameters: UrlParameter[] = [];
  const others: string[] = [];
  for (const part of text.slice(at + 1).split('&')) {
    if (part === '') continue;
    const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(part) ?? [];
    if (isOther(name)) others.push(part);
    else parameters.push({ name, value });
  }
  const rest = others.length === 0 ? '' : `?${others.join('&')}`;
  return { address: `${text.slice(0, at)}${rest}`, parameters };
}

/**
 * The value of a parameter. Only what is percent-encoded is decoded: a `+` is one, as in a pattern.
 * @throws UsageError
 */
function parameterValue({ name, value }: UrlParameter, isSwitch: boolean, origin: string): string {
  if (value === undefined) return isSwitch ? 'true' : '';
  try {
    return decodeURIComponent(value);
  } catch {
    throw new UsageError(`${origin}: ${name} has a % that begins no percent-encoding; write a % as %25`);
  }
}

/** What an address says of options, by their names in `options`. */
interface GivenByParameters {
  readonly given: ReadonlyMap<string, readonly Given[]>;
  /** The first that names no option. */
  readonly unknown: string | undefined;
}

/**
 * Finds the option of each parameter.
 * @param origin names the address: `argument 1`, `DATABASE_URL`
 * @throws UsageError
 */
export function optionsGiven(
  options: Options,
  parameters: readonly UrlParameter[],
  origin: string,
): GivenByParameters {
  const byFlag = new Map(Object.entries(options).map(([name, option]) => [flagName(name, option), name]));
  const given = new Map<string, Given[]>();
  for (const parameter of parameters) {
    const option = byFlag.get(parameter.name);
    if (option === undefined) return { given, unknown: parameter.name };
    const value = parameterValue(parameter, options[option]?.kind === 'switch', origin);
    given.set(option, [
      ...(given.get(option) ?? []),
      { text: value, origin: `${origin}: ${parameter.name}` },
    ]);
  }
  return { given, unknown: undefined };
}

/**
 * Their values. No variable stands in for what one address leaves out: the flags' variables are those of all.
 * @param readSecret undefined where files must not be read yet: unreadSecret stands for what they hold
 * @throws UsageError
 */
export function resolveParameters<O extends Options>(
  options: O,
  given: ReadonlyMap<string, readonly Given[]>,
  redactor: Redactor,
  readSecret: ReadSecret | undefined,
): Values<O> {
  if (readSecret !== undefined) return resolveOptions(options, given, {}, redactor, readSecret);
  const isSecret = (name: string): boolean => options[name]?.kind === 'secret';
  const readable = Object.fromEntries(Object.entries(options).filter(([name]) => !isSecret(name)));
  const secrets = Object.keys(options)
    .filter(isSecret)
    .map((name) => [name, given.has(name) ? unreadSecret : undefined]);
  return {
    ...resolveOptions(readable, given, {}, redactor, () => ''),
    ...(Object.fromEntries(secrets) as Values<Options>),
  } as Values<O>;
}
