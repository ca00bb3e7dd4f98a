import type { FieldValue } from '../source.ts';
import { formatDotenv } from './dotenv.ts';
import { type Entries, FormatError } from './entries.ts';
import { formatEnvFile } from './env-file.ts';
import { formatFiles } from './files.ts';
import { formatJson, formatJsonValue } from './json.ts';
import { formatProperties } from './properties.ts';
import { formatRaw, formatRawValue } from './raw.ts';
import { formatShell } from './shell.ts';
import { formatYaml, formatYamlValue } from './yaml.ts';

export const formats = ['raw', 'json', 'yaml', 'dotenv', 'env-file', 'properties', 'shell', 'files'] as const;
export type Format = (typeof formats)[number];
/** The formats whose output is one file. */
export type FileFormat = Exclude<Format, 'files'>;

/** What is to be written: named fields, or one value without a name. */
export type Content =
  | { readonly kind: 'fields'; readonly fields: Entries }
  /** `name` is what it was called where it came from, for messages. */
  | { readonly kind: 'value'; readonly value: FieldValue; readonly name?: string };

/** What a format made; `bytes` for one file, `files` by name for `files`. */
export interface Formatted<T> {
  readonly output: T;
  /** Sentences without values. */
  readonly warnings: readonly string[];
  /** The same of what need not be changed. */
  readonly notes: readonly string[];
}

/**
 * Writes content as one file of the given format.
 * @throws FormatError naming the key and the way out, never a value
 */
export function formatFile(format: FileFormat, content: Content): Formatted<Uint8Array> {
  if (format === 'dotenv') {
    const { bytes, warnings, notes } = formatDotenv(fieldsOf(content, format));
    return { output: bytes, warnings, notes };
  }
  if (format === 'env-file') {
    const { bytes, warnings } = formatEnvFile(fieldsOf(content, format));
    return { output: bytes, warnings, notes: [] };
  }
  return { output: writers[format](content), warnings: [], notes: [] };
}

/** Writes each field as a file of its own. @throws FormatError */
export function formatFileSet(content: Content): Formatted<ReadonlyMap<string, Uint8Array>> {
  return { output: formatFiles(fieldsOf(content, 'files')), warnings: [], notes: [] };
}

type Plain = Exclude<FileFormat, 'dotenv' | 'env-file'>;

const writers: Readonly<Record<Plain, (content: Content) => Uint8Array>> = {
  raw: (content) =>
    content.kind === 'value' ? formatRawValue(content.value, content.name) : formatRaw(content.fields),
  json: (content) =>
    content.kind === 'value' ? formatJsonValue(content.value, content.name) : formatJson(content.fields),
  yaml: (content) =>
    content.kind === 'value' ? formatYamlValue(content.value, content.name) : formatYaml(content.fields),
  properties: (content) => formatProperties(fieldsOf(content, 'properties')),
  shell: (content) => formatShell(fieldsOf(content, 'shell')),
};

function fieldsOf(content: Content, format: Format): Entries {
  if (content.kind === 'fields') return content.fields;
  throw new FormatError(
    `${format} writes named fields, and there is one value without a name; leave #FIELD out to get them all, or write it with --format raw`,
  );
}
