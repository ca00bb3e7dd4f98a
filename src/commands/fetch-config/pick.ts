import { fieldAt } from '../../config/fields.ts';
import { quotedKey } from '../../config/formats/entries.ts';
import { parseJson } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed } from '../../core/outcome.ts';

/** How one key of a source becomes one of a file. */
export interface KeyRule {
  /** What it is called in the file. */
  readonly name: string;
  /** What it is called in the source. */
  readonly key: string;
  /** Left out where it is missing, rather than a failure. */
  readonly optional: boolean;
  /** Its value where it is missing; it is not decoded. */
  readonly fallback: FieldValue | undefined;
  readonly decode: 'base64' | 'json' | undefined;
}

type Fields = ReadonlyMap<string, FieldValue>;

/**
 * Takes keys out of what a source gave, in the order of the rules; then, where asked for, all others.
 * @param source its address, safe to print
 * @param register tells the redactor about a value that decoding made
 * @throws Failure naming all required keys that are missing, or the key that cannot be decoded
 */
export function pickKeys(
  fields: Fields,
  rules: readonly KeyRule[],
  others: boolean,
  source: string,
  register: (value: FieldValue) => void,
): Fields {
  const picked = new Map<string, FieldValue>();
  const missing: string[] = [];
  for (const { name, key, optional, fallback, decode } of rules) {
    const value = fieldAt(fields, key);
    if (value !== undefined) picked.set(name, decoded(key, value, decode, source, register));
    else if (fallback !== undefined) picked.set(name, fallback);
    else if (!optional) missing.push(key);
  }
  if (missing.length > 0) throw missingKeys(missing, [...fields.keys()], source);
  if (!others) return picked;
  const named = new Set(rules.map(({ key }) => key));
  for (const [key, value] of fields) {
    if (named.has(key)) continue;
    if (picked.has(key))
      throw refused(
        `two values for the key ${quotedKey(key)}: ${source} has it, and another is renamed to it`,
      );
    picked.set(key, value);
  }
  return picked;
}

function decoded(
  key: string,
  value: FieldValue,
  decode: KeyRule['decode'],
  source: string,
  register: (value: FieldValue) => void,
): FieldValue {
  if (decode === undefined) return value;
  const text =
    typeof value === 'string'
      ? value
      : value instanceof Uint8Array
        ? Buffer.from(value).toString()
        : undefined;
  if (text === undefined)
    throw refused(`${source}: ${quotedKey(key)} cannot be decoded as ${decode}: it is not a text`);
  const made = decode === 'json' ? fromJson(key, text, source) : fromBase64(key, text, source);
  register(made);
  return made;
}

function fromJson(key: string, text: string, source: string): FieldValue {
  try {
    return parseJson(text);
  } catch (error) {
    throw refused(`${source}: ${quotedKey(key)} cannot be decoded as json: ${(error as Error).message}`);
  }
}

/** RFC 4648 with either alphabet, line ends allowed: what `base64` and Kubernetes write. */
function fromBase64(key: string, text: string, source: string): FieldValue {
  const compact = text.replace(/[\r\n\t ]/g, '');
  const unpadded = compact.replace(/={0,2}$/, '');
  if (!/^[A-Za-z0-9+/_-]*$/.test(unpadded) || unpadded.length % 4 === 1) {
    throw refused(
      `${source}: ${quotedKey(key)} cannot be decoded as base64: it has other characters, or is cut off`,
    );
  }
  const bytes = Buffer.from(unpadded, 'base64');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes;
  }
}

/** Names of what is there that are shown. */
const most = 20;

function missingKeys(missing: readonly string[], there: readonly string[], source: string): Failure {
  const names = there.slice(0, most).map(quotedKey).join(', ');
  return refused(
    `${source} has no ${missing.length === 1 ? 'key' : 'keys'} ${missing.map(quotedKey).join(', ')}`,
    `${there.length === 0 ? 'it has no keys at all' : `its keys are ${names}${there.length > most ? ', …' : ''}`}; a spec can give one a default or call it optional`,
  );
}

function refused(what: string, hint?: string): Failure {
  return new Failure(failed(exitStatus.refused, what, { hint }));
}
