import { parseDuration } from '../duration.ts';
import { quotedValue } from '../misplaced-secret.ts';
import type { Secret } from '../redaction/redactor.ts';

/** How often an option takes a value: never (a switch), once, any number of times, or from a file (a secret). */
export type OptionKind = 'switch' | 'value' | 'list' | 'secret';

/** One option of a command. Flag, environment twin, help, README, completion and a plan's key come from it. */
export interface Option<T = unknown> {
  readonly kind: OptionKind;
  readonly description: string;
  /** What stands for the value in help: `DURATION`. */
  readonly placeholder: string;
  /** Reads one value; throws an Error that says what is accepted. */
  readonly parse: (text: string) => unknown;
  /** The value where none is given. */
  readonly fallback: T;
  /** The fallback in words, for help; empty where there is none. */
  readonly fallbackText: string;
  /** The accepted words, for completion and a plan's schema. */
  readonly choices?: readonly string[];
  /** A second, short spelling such as `f` for `-f`. */
  readonly short?: string;
  /** True where an empty value means something. */
  readonly allowEmpty?: boolean;
  /** Names of options that mean the same thing in another way: only one of them can be given, by whatever way. */
  readonly insteadOf?: readonly string[];
  /** True where its value is the path of a file that is written. */
  readonly writes?: boolean;
  /** Carries the type. */
  readonly type?: T;
}

export type Options = Readonly<Record<string, Option>>;

/** The parsed values of a set of options, keyed by flag name. */
export type Values<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

interface Described {
  readonly description: string;
  readonly writes?: boolean;
  readonly short?: string;
  readonly insteadOf?: readonly string[];
}

interface Valued<T> extends Described {
  readonly placeholder: string;
  readonly parse: (text: string) => T;
  readonly choices?: readonly string[];
  readonly allowEmpty?: boolean;
}

/** A switch, off unless given; `--no-NAME` turns it off again. */
export function flag(spec: Described & { readonly fallback?: boolean }): Option<boolean> {
  const fallback = spec.fallback ?? false;
  return {
    ...spec,
    kind: 'switch',
    placeholder: '',
    parse: parseBoolean,
    fallback,
    fallbackText: fallback ? 'on' : '',
  };
}

/** An option with one value, undefined unless given. */
export function value<T>(spec: Valued<T>): Option<T | undefined> {
  return { ...spec, kind: 'value', fallback: undefined, fallbackText: '' };
}

/** An option with one value and a default, written as a user would write it. */
export function valueOr<T>(
  spec: Valued<T> & { readonly fallback: string; readonly fallbackText?: string },
): Option<T> {
  const fallbackText = spec.fallbackText ?? spec.fallback;
  return { ...spec, kind: 'value', fallback: spec.parse(spec.fallback), fallbackText };
}

/** An option that may be given several times; its twin and a plan separate values by commas. */
export function list<T>(spec: Valued<T>): Option<readonly T[]> {
  return { ...spec, kind: 'list', fallback: [], fallbackText: '' };
}

/**
 * A secret: never asked for as a flag's value. `secret` named `token` makes `--token-file PATH`; what the file
 * holds, less one line end, is registered with the redactor as it is read.
 */
export function secret(spec: Described): Option<Secret | undefined> {
  return {
    ...spec,
    kind: 'secret',
    placeholder: 'PATH',
    parse: parseText,
    fallback: undefined,
    fallbackText: '',
  };
}

export function duration(spec: Described): Option<number | undefined> {
  return value({ ...spec, placeholder: 'DURATION', parse: parseDuration });
}

export function durationOr(spec: Described & { readonly fallback: string }): Option<number> {
  return valueOr({ ...spec, placeholder: 'DURATION', parse: parseDuration });
}

export function text(
  spec: Described & { readonly placeholder: string; readonly allowEmpty?: boolean },
): Option<string | undefined> {
  return value({ ...spec, parse: parseText });
}

export function oneOf<const C extends readonly string[]>(
  spec: Described & { readonly choices: C; readonly fallback: C[number] },
): Option<C[number]> {
  return valueOr<C[number]>({
    ...spec,
    placeholder: spec.choices.join('|'),
    parse: choiceParser(spec.choices),
  });
}

export function integer(range: { readonly min: number; readonly max?: number }): (text: string) => number {
  const max = range.max ?? Number.MAX_SAFE_INTEGER;
  const accepted =
    range.max === undefined
      ? `a whole number from ${range.min}`
      : `a whole number from ${range.min} to ${max}`;
  const parse = (given: string): number => {
    const number = /^[+-]?\d+$/.test(given) ? Number(given) : Number.NaN;
    if (!Number.isSafeInteger(number) || number < range.min || number > max) {
      throw new Error(`${quotedValue(given)} is not ${accepted}`);
    }
    return number;
  };
  bounds.set(parse, {
    multipleOf: 1,
    minimum: range.min,
    ...(range.max === undefined ? {} : { maximum: range.max }),
  });
  return parse;
}

/** What JSON Schema says of numbers that a parser takes. */
export interface Bounds {
  readonly multipleOf: number;
  readonly minimum: number;
  readonly maximum?: number;
}

const bounds = new WeakMap<(text: string) => unknown, Bounds>();

/** Of a parser that `integer` has made; nothing of others. */
export function boundsOf(parse: (text: string) => unknown): Bounds | undefined {
  return bounds.get(parse);
}

export function choiceParser<const C extends readonly string[]>(choices: C): (text: string) => C[number] {
  return (given) => {
    if (!choices.includes(given))
      throw new Error(`${quotedValue(given)} is not one of ${choices.join(', ')}`);
    return given;
  };
}

export function parseText(given: string): string {
  return given;
}

function parseBoolean(given: string): boolean {
  if (/^(true|yes|on|1)$/i.test(given)) return true;
  if (/^(false|no|off|0)$/i.test(given)) return false;
  throw new Error(`${quotedValue(given)} is neither true nor false`);
}

/** The name that a user types: a secret `token` is `--token-file`. */
export function flagName(name: string, option: Option): string {
  return option.kind === 'secret' ? `${name}-file` : name;
}

/** The environment twin of a flag: `--stable-for` is INITBOX_STABLE_FOR. */
export function twinName(name: string, option: Option): string {
  return `INITBOX_${flagName(name, option).toUpperCase().replaceAll('-', '_')}`;
}
