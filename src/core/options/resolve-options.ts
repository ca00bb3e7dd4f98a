import { readFileSync } from 'node:fs';
import { quotingAdvice } from '../advice.ts';
import type { Environment } from '../context.ts';
import { UsageError } from '../outcome.ts';
import { hidePasswords, type Redactor } from '../redaction/redactor.ts';
import { refuseUnexpanded } from '../template-variables.ts';
import { meaningOf } from './meaning.ts';
import { twinName, type Option, type Options, type Values } from './option.ts';

/** One value as it was given, and where: `--timeout`, `INITBOX_TIMEOUT`, `plan.yaml:3:5 timeout`. */
export interface Given {
  readonly text: string;
  readonly origin: string;
}

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
): Values<O> {
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const sources = given.get(name) ?? fromTwin(name, option, environment);
    // A URL given where a file's path or a name is wanted comes back in the error.
    for (const { text } of sources) hidePasswords(text, redactor);
    values[name] = sources.length === 0 ? option.fallback : valueOf(option, sources, redactor);
  }
  return values as Values<O>;
}

function fromTwin(name: string, option: Option, environment: Environment): readonly Given[] {
  const origin = twinName(name, option);
  const whole = environment[origin];
  if (whole === undefined) return [];
  const texts = option.kind === 'list' ? whole.split(',').map((part) => part.trim()) : [whole];
  return texts.map((text) => ({ text, origin }));
}

function valueOf(option: Option, sources: readonly Given[], redactor: Redactor): unknown {
  if (option.kind === 'list') return sources.map((given) => parseOne(option, given));
  const [first, second] = sources;
  if (first === undefined) return option.fallback;
  if (second !== undefined && option.kind !== 'switch') {
    throw new UsageError(`${first.origin} was given ${sources.length} times; it takes one value`);
  }
  if (option.kind === 'secret') {
    checkExpanded(option, sources);
    const content = readSecretFile(first);
    refuseUnexpanded('secret', content, `the file ${first.text} (${first.origin})`);
    return redactor.secret(content);
  }
  return parseOne(option, sources.at(-1) ?? first);
}

function parseOne(option: Option, given: Given): unknown {
  if (given.text === '' && option.allowEmpty !== true) {
    throw new UsageError(
      `${given.origin} is empty${option.placeholder ? `; it takes ${option.placeholder}` : ''}`,
    );
  }
  checkExpanded(option, [given]);
  try {
    return option.parse(given.text);
  } catch (error) {
    throw new UsageError(`${given.origin}: ${(error as Error).message}${quotingAdvice(given.text)}`);
  }
}

/** @throws UsageError where a reference in a path, a URL or a name was not replaced */
export function checkExpanded(option: Option, sources: readonly Given[]): void {
  const meaning = meaningOf(option);
  if (meaning === undefined || meaning === 'text' || meaning === 'parsed') return;
  for (const { text, origin } of sources) refuseUnexpanded(meaning, text, origin);
}

/**
 * Reads a secret's file less one line end, which editors and `echo` add.
 * @throws UsageError where it is missing, a directory, unreadable or empty
 */
export function readSecretFile(given: Given): string {
  let content: string;
  try {
    content = readFileSync(given.text, 'utf8');
  } catch (error) {
    throw new UsageError(`${given.origin}: ${fileProblem(given.text, error as NodeJS.ErrnoException)}`);
  }
  const trimmed = content.replace(/\r?\n$/, '');
  if (trimmed === '') throw new UsageError(`${given.origin}: the file ${given.text} is empty`);
  return trimmed;
}

function fileProblem(path: string, error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return `there is no file ${path}`;
  if (error.code === 'EISDIR') return `${path} is a directory, not a file`;
  if (error.code === 'EACCES') return `the file ${path} may not be read by this user`;
  return `the file ${path} cannot be read (${error.code ?? error.message})`;
}

/** The names of all twins of a set of options. */
export function twinNames(options: Options): string[] {
  return Object.entries(options).map(([name, option]) => twinName(name, option));
}
