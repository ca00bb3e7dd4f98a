import { checkVariableName, type Entries, FormatError, plainText, quotedKey } from './entries.ts';
import { setByShell } from './shell.ts';

/** A file's text and what its readers should know. */
export interface DotenvText {
  readonly bytes: Uint8Array;
  /** Sentences without values. */
  readonly warnings: readonly string[];
  /** The same of what is as it must be, and not what everybody expects. */
  readonly notes: readonly string[];
}

/** What reads such files, in the order in which messages name them; test/integration/config/formats has them all. */
export const dotenvReaders = [
  'docker --env-file',
  'compose',
  'Node',
  'npm dotenv',
  'python-dotenv',
  'godotenv',
  'ruby dotenv',
  'bash',
] as const;
export type DotenvReader = (typeof dotenvReaders)[number];

/** A way to write a value, and who reads another value then. */
interface Word {
  readonly text: string;
  readonly misreaders: ReadonlySet<DotenvReader>;
}

/**
 * `KEY=VALUE` lines in the quoting that the most readers of dotenv read alike; a warning names the keys that some read
 * otherwise. Nothing in them is run by a shell that sources the file, and no value adds a variable for a reader that
 * knows quotes.
 * @throws FormatError naming a key that nothing holds safely
 */
export function formatDotenv(entries: Entries): DotenvText {
  const misread = new Map<string, string[]>();
  const lines = [...entries].map(([key, value]) => {
    checkVariableName(key, 'dotenv');
    const word = dotenvWord(key, plainText(key, value, 'dotenv'));
    const bash = setByShell.has(key) && !word.misreaders.has('bash');
    const readers = dotenvReaders.filter(
      (reader) => word.misreaders.has(reader) || (bash && reader === 'bash'),
    );
    if (readers.length > 0) {
      const names = readers.join(', ');
      misread.set(names, [...(misread.get(names) ?? []), quotedKey(key)]);
    }
    return `${key}=${word.text}\n`;
  });
  // Docker has no quotes: this holds of most files, and a warning at each start would be read by nobody.
  const unquoted = misread.get(onlyDocker);
  misread.delete(onlyDocker);
  return {
    bytes: Buffer.from(lines.join('')),
    warnings: [...misread].map(warning),
    notes: unquoted === undefined ? [] : [dockerNote(unquoted)],
  };
}

const onlyDocker: DotenvReader = 'docker --env-file';

/** Keys that a note names; it is about all values in quotes. */
const shownKeys = 20;

function dockerNote(keys: readonly string[]): string {
  const names = keys.slice(0, shownKeys).join(', ');
  const more = keys.length > shownKeys ? ` and ${keys.length - shownKeys} more` : '';
  return `${names}${more}: docker --env-file takes the quotes for a part of ${keys.length === 1 ? 'this value' : 'these values'}; other readers of dotenv do not`;
}

/** The order of the readers is that of the table, so that one set of them is one text. */
function warning([readers, keys]: [string, readonly string[]]): string {
  const value = keys.length === 1 ? 'this value' : 'these values';
  return `${keys.join(', ')}: dotenv has no way to write ${value} that all readers read alike, and these read something else: ${readers}; another --format holds ${value}`;
}

/** The longest line that docker reads: bufio.MaxScanTokenSize of Go, with the line end. */
const longestLine = 65_535;

function dotenvWord(key: string, text: string): Word {
  if (/^[A-Za-z0-9_./:@%+,=-]*$/.test(text)) {
    const long = key.length + 1 + text.length > longestLine;
    return { text, misreaders: new Set(long ? ['docker --env-file'] : []) };
  }
  if (text.endsWith('\\')) return bareWord(key, text);
  const double = doubleQuoted(text);
  if (text.includes("'")) return double;
  const single = singleQuoted(text);
  return single.misreaders.size <= double.misreaders.size ? single : double;
}

/** Everything between single quotes is literal, and nothing is expanded, but by python-dotenv. */
function singleQuoted(text: string): Word {
  const misreaders = new Set<DotenvReader>(['docker --env-file']);
  if (text.includes('\r'))
    for (const reader of ['Node', 'npm dotenv', 'ruby dotenv'] as const) misreaders.add(reader);
  if (text.includes('\r\n')) for (const reader of ['compose', 'godotenv'] as const) misreaders.add(reader);
  // It reads `\\` as an escape even here, expands `${…}`, and its file object turns a carriage return into a line end.
  if (/\\\\|\r|\$\{[^}]*\}/.test(text)) misreaders.add('python-dotenv');
  return { text: `'${text}'`, misreaders };
}

/**
 * With the escapes of a shell, so that no shell (and no ruby dotenv, which knows `$(…)`) runs anything. Node ends the
 * value at the first double quote and goes on with the next line: where there is one, the value stays on one line.
 */
function doubleQuoted(text: string): Word {
  const quotes = text.includes('"');
  const misreaders = new Set<DotenvReader>(['docker --env-file']);
  const misread = (pattern: RegExp, ...readers: DotenvReader[]): void => {
    if (pattern.test(text)) for (const reader of readers) misreaders.add(reader);
  };
  misread(/["\\$`]/, 'Node', 'npm dotenv');
  misread(/\r/, 'Node', 'ruby dotenv', 'bash');
  misread(/[$`]/, 'python-dotenv');
  misread(/`/, 'compose');
  misread(/"$/, 'godotenv');
  misread(/\$\(/, 'ruby dotenv');
  if (quotes) misread(/\n/, 'ruby dotenv', 'bash');
  const escaped = text.replace(/["\\$`]/g, '\\$&').replaceAll('\r', '\\r');
  return { text: `"${quotes ? escaped.replaceAll('\n', '\\n') : escaped}"`, misreaders };
}

/**
 * A backslash before the closing quote is read as an escape of that quote, even when it is doubled, so a value that ends
 * with one has no quotes. The empty line after it is what a shell takes into the value, and not the next variable.
 */
function bareWord(key: string, text: string): Word {
  // What a shell would take for more than a part of a word is refused: the file may be sourced.
  if (/^[A-Za-z0-9_./:@%+,=\\-]*$/.test(text))
    return { text: `${text}\n`, misreaders: new Set(['ruby dotenv', 'bash']) };
  throw new FormatError(
    `${quotedKey(key)} ends with a backslash and needs quotes, which readers of dotenv take for an escaped quote; --format json, yaml, properties, shell or files hold it`,
  );
}
