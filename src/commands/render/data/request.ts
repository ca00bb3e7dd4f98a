import { parseSource, valueSchemes, type SourceAddress } from '../../../config/source.ts';
import { UsageError } from '../../../core/outcome.ts';
import { refuseUnexpanded } from '../../../core/template-variables.ts';
import { dataEndings, endingOf, type DataEnding } from './parse.ts';

/** What one `--data` asks for: a source of its own, or a file by its path. */
export interface DataRequest {
  /** What templates call it; undefined where its keys are names themselves. */
  readonly name: string | undefined;
  readonly from:
    | { readonly kind: 'source'; readonly address: SourceAddress }
    | { readonly kind: 'file'; readonly path: string; readonly ending: DataEnding };
  /** Safe to print. */
  readonly shown: string;
}

const named = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s;
const scheme = new RegExp(`^(${valueSchemes.join('|')}):`, 'i');

/** Names that templates have already. */
const reserved: ReadonlySet<string> = new Set(['env']);

/**
 * Reads `NAME=SOURCE`, `NAME=FILE`, or either without a name.
 * @param secret gets what must never be printed
 * @throws UsageError
 */
export function parseDataRequest(text: string, secret: (value: string) => void): DataRequest {
  const [, name, rest = text] = named.exec(text) ?? [];
  if (name !== undefined && reserved.has(name))
    throw new UsageError(`--data: the name ${name} is taken: it is the environment`);
  const label = name === undefined ? '' : `${name}=`;
  if (scheme.test(rest)) {
    try {
      const address = parseSource(rest, secret);
      return { name, from: { kind: 'source', address }, shown: label + address.text };
    } catch (error) {
      throw new UsageError(`--data: ${label}: ${(error as Error).message}`, { cause: error });
    }
  }
  refuseUnexpanded('path', rest, `--data${label && ` ${label}…`}`);
  const ending = endingOf(rest);
  if (ending === undefined) {
    // Not shown: it may be a value.
    throw new UsageError(
      `--data${name === undefined ? '' : ` ${label}…`}: it is neither a source (${valueSchemes.map((known) => `${known}:`).join(', ')}) nor a file whose ending says how to read it (${dataEndings.join(', ')}); a value itself goes into --var`,
    );
  }
  return { name, from: { kind: 'file', path: rest, ending }, shown: label + rest };
}

/** Reads `NAME=VALUE`. @throws Error that says what is accepted, without the value */
export function parseVariable(text: string): { readonly name: string; readonly value: string } {
  const [, name, value] = named.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new Error('write a name and its value: LOG_LEVEL=info; the name has letters, digits and _');
  if (reserved.has(name)) throw new Error(`the name ${name} is taken: it is the environment`);
  return { name, value };
}

/** The sources among the data. */
export function addressesOf(requests: readonly DataRequest[]): readonly SourceAddress[] {
  return requests.flatMap(({ from }) => (from.kind === 'source' ? [from.address] : []));
}
