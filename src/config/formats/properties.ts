import { replaceUnits } from '../../core/text-units.ts';
import { type Entries, plainText } from './entries.ts';

/**
 * Java's properties, in ASCII, so that readers of Latin-1 and of UTF-8 read the same
 * (https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html#load(java.io.Reader)).
 */
export function formatProperties(entries: Entries): Uint8Array {
  const lines = [...entries].map(([key, value]) => {
    const text = plainText(key, value, 'properties');
    plainText(key, key, 'the keys of properties');
    return `${propertiesKey(key)}=${propertiesValue(text)}\n`;
  });
  return Buffer.from(lines.join(''));
}

/** A text as a key, before `=`. */
export function propertiesKey(text: string): string {
  return escaped(text).replace(/[ :=#!]/g, '\\$&');
}

/** A text as a value, after `=`. */
export function propertiesValue(text: string): string {
  return escaped(text).replace(/^ /, '\\ ');
}

const named: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\f': '\\f',
};

function escaped(text: string): string {
  return replaceUnits(text, /[^\x20-\x5b\x5d-\x7e]/g, (unit) => {
    return named[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
