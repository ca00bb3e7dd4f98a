import type { FieldValue } from '../source.ts';
import { type Entries, FormatError, plainBytes, quotedKey } from './entries.ts';

/** The bytes of one value, nothing added: no line end, no quotes. @throws FormatError for objects, lists, null */
export function formatRawValue(value: FieldValue, key = 'the value'): Uint8Array {
  return plainBytes(key, value, 'raw');
}

/** @throws FormatError where there is not exactly one entry */
export function formatRaw(entries: Entries): Uint8Array {
  const [first, ...others] = entries;
  if (first === undefined) throw new FormatError('there is nothing to write: no field was found');
  if (others.length > 0) {
    const names = [...entries.keys()];
    const shown = names.slice(0, 10).map(quotedKey).join(', ');
    throw new FormatError(
      `raw holds one value, and there are ${names.length} fields (${shown}${names.length > 10 ? ', …' : ''}); pick one with #FIELD, or choose --format json, yaml, dotenv, env-file, properties, shell or files`,
    );
  }
  return formatRawValue(first[1], first[0]);
}
