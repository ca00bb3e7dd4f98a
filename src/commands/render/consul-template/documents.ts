import { FormatError } from '../../../config/formats/entries.ts';
import { formatYamlValue } from '../../../config/formats/yaml.ts';
import { JsonNumber, type FieldValue } from '../../../config/source.ts';
import {
  Absence,
  GoStruct,
  isGoList,
  isMap,
  kindOfValue,
  sortedEntries,
  ValueFault,
  type Value,
} from './values.ts';

/** Levels that a document may have. */
const deepest = 200;

/** What encoding/json writes as escapes, since it may stand in HTML. */
const htmlUnsafe = /[<>&]/g;
/** What it always writes so. */
const separators = /[\u2028\u2029]/g;

const unicodeEscape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** encoding/json's Marshal and MarshalIndent. @throws ValueFault */
export function goJson(
  value: Value,
  { pretty, escapes }: { readonly pretty: boolean; readonly escapes: boolean },
): string {
  const quoted = (text: string): string => {
    const made = JSON.stringify(text).replace(separators, unicodeEscape);
    return escapes ? made.replace(htmlUnsafe, unicodeEscape) : made;
  };
  const written = (one: Value, level: number): string => {
    if (level > deepest) throw new ValueFault(`it is nested deeper than ${deepest} levels`);
    if (one === null || typeof one === 'boolean' || typeof one === 'bigint') return String(one);
    if (typeof one === 'number') return jsonFloat(one);
    if (one instanceof JsonNumber) return one.text;
    if (typeof one === 'string') return quoted(one);
    if (one instanceof Uint8Array) return quoted(new TextDecoder().decode(one));
    const inner = isGoList(one)
      ? one.map((item) => written(item, level + 1))
      : isMap(one)
        ? sortedEntries(one).map(
            ([key, item]) => `${quoted(key)}:${pretty ? ' ' : ''}${written(item, level + 1)}`,
          )
        : refuse(one);
    const [open, close] = isGoList(one) ? '[]' : '{}';
    if (inner.length === 0 || !pretty) return `${open}${inner.join(',')}${close}`;
    const line = `\n${'  '.repeat(level)}`;
    return `${open}${line}  ${inner.join(`,${line}  `)}${line}${close}`;
  };
  return written(value, 0);
}

function refuse(value: Absence | GoStruct): never {
  if (value instanceof Absence) throw new ValueFault(value.words);
  throw new ValueFault(`this is ${kindOfValue(value)}; name the field that is meant, such as .Data`);
}

/** As ECMAScript writes numbers, but for a zero in front of an exponent of one digit, which Go takes out as well. */
function jsonFloat(value: number): string {
  if (!Number.isFinite(value)) throw new ValueFault('JSON has no such number');
  return Object.is(value, -0) ? '-0' : String(value);
}

/** A value as YAML that readers of 1.1 and 1.2 read alike. @throws ValueFault */
export function yamlText(value: Value): string {
  try {
    const text = Buffer.from(formatYamlValue(plain(value))).toString();
    const body = text.slice('---'.length);
    return (body.startsWith('\n') ? body.replace(/^ {2}/gm, '') : body).trim();
  } catch (error) {
    if (error instanceof FormatError) throw new ValueFault(error.message, { cause: error });
    throw error;
  }
}

/** A value as the formats of this program take it. */
function plain(value: Value): FieldValue {
  if (typeof value === 'bigint') return new JsonNumber(String(value));
  if (isGoList(value)) return value.map((item) => plain(item));
  if (isMap(value)) return Object.fromEntries(sortedEntries(value).map(([key, item]) => [key, plain(item)]));
  if (value instanceof Absence || value instanceof GoStruct) return refuse(value);
  return value;
}
