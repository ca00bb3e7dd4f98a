import { FormatError, plainText } from '../../config/formats/entries.ts';
import { isStructure, jsonInline } from '../../config/formats/json.ts';
import { propertiesKey, propertiesValue } from '../../config/formats/properties.ts';
import { shellWord } from '../../config/formats/shell.ts';
import { yamlInline } from '../../config/formats/yaml.ts';
import type { FieldValue } from '../../config/source.ts';
import { replaceUnits } from '../../core/text-units.ts';

/** A plain text; a missing value has none to quote. @throws FormatError */
function textFor(format: string, value: unknown): string {
  if (value === undefined) throw new FormatError(`there is no value for ${format}`);
  return plainText('the value', value as FieldValue, format);
}

/** What XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets). */
// oxlint-disable-next-line no-control-regex -- they are what may not stand there
const notXml = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Line ends and tabs as numbers: in an attribute they would be read as spaces. */
function xmlText(text: string): string {
  if (notXml.test(text)) throw new FormatError('the value holds a control character, which XML cannot');
  return replaceUnits(text, /[&<>"'\t\n\r]/g, (char) => entities[char] ?? `&#${char.charCodeAt(0)};`);
}

/** Filters that quote: what comes out can stand in such a file whatever it holds. */
export const quotingFilters: Readonly<Record<string, (value: unknown) => string>> = {
  yaml: (value) => yamlInline('the value', present(value, 'yaml')),
  json: (value) => jsonInline('the value', present(value, 'json')),
  shell: (value) => shellWord(textFor('a shell', value)),
  properties: (value) => propertiesValue(textFor('properties', value)),
  properties_key: (value) => propertiesKey(textFor('properties', value)),
  xml: (value) => xmlText(textFor('xml', value)),
};

function present(value: unknown, format: string): FieldValue {
  if (value === undefined) throw new FormatError(`there is no value for ${format}`);
  return value as FieldValue;
}

/** What stands for a value that no filter quotes. @throws FormatError where it is not text or number */
export function outputText(value: unknown): string {
  if (value === undefined || value === null)
    throw new FormatError('there is no value here; write | default: "…" for one');
  if (isStructure(value as FieldValue) || typeof value === 'function')
    throw new FormatError('a list or an object is not text; pick a part of it, or write | json or | yaml');
  return plainText('the value', value as FieldValue, 'a template');
}
