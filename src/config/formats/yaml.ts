import { replaceUnits } from '../../core/text-units.ts';
import type { FieldValue } from '../source.ts';
import { type Entries, FormatError, quotedKey, textOfValue, wellFormed } from './entries.ts';
import { isList, isStructure, jsonScalar, type Scalar } from './json.ts';

/** Deeper than any configuration, and far from the stack's end. */
const deepest = 200;

/**
 * One mapping that readers of YAML 1.1 and 1.2 read alike: every string is quoted or a literal block, so that no `no`
 * becomes false and no `0777` a number; numbers keep their digits.
 */
export function formatYaml(entries: Entries): Uint8Array {
  const lines = [...entries].map(([key, value]) => `${yamlKey(key)}:${node(key, value, 0)}\n`);
  return Buffer.from(lines.length === 0 ? '{}\n' : lines.join(''));
}

/** A value alone as a YAML document. */
export function formatYamlValue(value: FieldValue, key = 'the value'): Uint8Array {
  return Buffer.from(`---${node(key, value, 0)}\n`);
}

/** What follows `key:` or `-`, with the space or line end before it. */
function node(key: string, value: FieldValue, level: number): string {
  if (level > deepest) throw new FormatError(`${quotedKey(key)} is nested deeper than ${deepest} levels`);
  if (!isStructure(value)) return ` ${scalar(key, value, level)}`;
  const pad = '  '.repeat(level + 1);
  if (isList(value)) {
    if (value.length === 0) return ' []';
    return value.map((item) => `\n${pad}-${node(key, item, level + 1)}`).join('');
  }
  const pairs = Object.entries(value);
  if (pairs.length === 0) return ' {}';
  return pairs.map(([name, item]) => `\n${pad}${yamlKey(name)}:${node(key, item, level + 1)}`).join('');
}

function scalar(key: string, value: Scalar, level: number): string {
  if (value instanceof Uint8Array || typeof value === 'string') {
    const text = typeof value === 'string' ? wellFormed(key, value, 'yaml') : textOfValue(key, value, 'yaml');
    return literalBlock(text, level) ?? doubleQuoted(key, text);
  }
  const written = jsonScalar(key, value);
  return typeof value === 'boolean' || value === null ? written : yamlNumber(written);
}

/**
 * `1e5` is a string to readers of YAML 1.1, which want a point and a signed exponent
 * (https://yaml.org/type/float.html); 1.2 takes both.
 */
function yamlNumber(text: string): string {
  const parts = /^(-?\d+)(\.\d+)?[eE]([+-]?)(\d+)$/.exec(text);
  if (!parts) return text;
  const [, whole, fraction = '.0', sign = '', exponent] = parts;
  return `${whole}${fraction}e${sign === '' ? '+' : sign}${exponent}`;
}

/**
 * A value on one line, as it can stand after any key, in a list or in braces: strings in double quotes, structures in
 * flow style. @throws FormatError
 */
export function yamlInline(key: string, value: FieldValue, level = 0): string {
  if (level > deepest) throw new FormatError(`${quotedKey(key)} is nested deeper than ${deepest} levels`);
  if (value instanceof Uint8Array || typeof value === 'string') {
    const text = typeof value === 'string' ? wellFormed(key, value, 'yaml') : textOfValue(key, value, 'yaml');
    return doubleQuoted(key, text);
  }
  if (!isStructure(value)) return scalar(key, value, 0);
  if (isList(value)) return `[${value.map((item) => yamlInline(key, item, level + 1)).join(', ')}]`;
  const pairs = Object.entries(value);
  return `{${pairs.map(([name, item]) => `${doubleQuoted(name, name)}: ${yamlInline(name, item, level + 1)}`).join(', ')}}`;
}

/** Readable as it is in every dialect; all else goes into escapes. */
// oxlint-disable-next-line no-control-regex -- they are what may not stand there
const unprintable = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\p{Surrogate}/u;

/** Certificates and the like, as people would write them; undefined where a block cannot hold the text. */
function literalBlock(text: string, level: number): string | undefined {
  if (!text.includes('\n') || unprintable.test(text) || text.includes('\t')) return undefined;
  const lines = text.split('\n');
  // A space or an empty line first would be taken for the indentation; a space before a line end is easily lost.
  if (!/^[^\s]/.test(text) || lines.some((line) => line.endsWith(' '))) return undefined;
  const ended = text.endsWith('\n');
  // More than one line end last needs `+`, which takes in whatever follows.
  if (text.endsWith('\n\n')) return undefined;
  const pad = '  '.repeat(level + 1);
  const body = (ended ? lines.slice(0, -1) : lines).map((line) => (line === '' ? '' : pad + line));
  return `${ended ? '|' : '|-'}\n${body.join('\n')}`;
}

function doubleQuoted(key: string, text: string): string {
  // JSON's escapes are YAML's (https://yaml.org/spec/1.2.2/#57-escaped-characters); these it leaves bare.
  return replaceUnits(jsonScalar(key, text), /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** A key longer than 1024 characters would need `?` before it (https://yaml.org/spec/1.2.2/#example-single-pair-explicit-entry). */
const longestKey = 1000;

/** Plain keys that no reader takes for something else: not `yes`, `n`, `null`. */
function yamlKey(key: string): string {
  if (key.length > longestKey)
    throw new FormatError(`a key of ${key.length} characters is too long for yaml`);
  const plain = /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(key);
  return plain ? key : doubleQuoted(key, key);
}
