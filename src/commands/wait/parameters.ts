import { UsageError } from '../../core/outcome.ts';

interface TargetParameter {
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
): { readonly address: string; readonly parameters: readonly TargetParameter[] } {
  const at = text.indexOf(mark);
  if (at < 0) return { address: text, parameters: [] };
  const parameters: TargetParameter[] = [];
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
export function parameterValue({ name, value }: TargetParameter, isSwitch: boolean, origin: string): string {
  if (value === undefined) return isSwitch ? 'true' : '';
  try {
    return decodeURIComponent(value);
  } catch {
    throw new UsageError(`${origin}: ${name} has a % that begins no percent-encoding; write a % as %25`);
  }
}
