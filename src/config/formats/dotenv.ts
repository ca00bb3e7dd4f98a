import { checkVariableName, type Entries, FormatError, plainText, quotedKey } from './entries.ts';

/** A file's text and what its readers should know. */
export interface DotenvText {
  readonly bytes: Uint8Array;
  /** Sentences without values. */
  readonly warnings: readonly string[];
}

/**
 * `KEY=VALUE` lines in the quoting on which dotenv readers agree most: bare where no reader could misread it (Docker's
 * --env-file takes no quotes), else single quotes, in which nothing is expanded. What holds a single quote itself
 * is written in double quotes with the escapes that python-dotenv, godotenv and docker compose read.
 */
export function formatDotenv(entries: Entries): DotenvText {
  const expanding: string[] = [];
  const lines = [...entries].map(([key, value]) => {
    checkVariableName(key, 'dotenv');
    const text = plainText(key, value, 'dotenv');
    const { word, expands } = dotenvWord(key, text);
    if (expands) expanding.push(key);
    return `${key}=${word}\n`;
  });
  const warnings =
    expanding.length === 0
      ? []
      : [
          `${expanding.map(quotedKey).join(', ')}: dotenv has no way to write this that is safe for a shell as well (a single quote together with $ or \`, or a backslash at the end): do not source the file; for that use --format shell`,
        ];
  return { bytes: Buffer.from(lines.join('')), warnings };
}

function dotenvWord(key: string, text: string): { readonly word: string; readonly expands: boolean } {
  if (/^[A-Za-z0-9_./:@%+,=-]*$/.test(text)) return { word: text, expands: false };
  if (text.endsWith('\\')) return { word: withoutQuotes(key, text), expands: true };
  // python-dotenv reads \\ and \' as escapes even here, and its file object turns a carriage return into a line end.
  if (!/['\r]|\\\\/.test(text)) return { word: `'${text}'`, expands: false };
  const escaped = text.replace(/[\\"]/g, '\\$&').replaceAll('\r', '\\r').replaceAll('\n', '\\n');
  return { word: `"${escaped}"`, expands: /[$`]/.test(text) };
}

/** A backslash before the closing quote is read as an escape of that quote, even when it is doubled. */
function withoutQuotes(key: string, text: string): string {
  // Control characters too: some of them are spaces to Python.
  // oxlint-disable-next-line no-control-regex -- they are what it is about
  if (!/[\0-\x1f\x7f-\x9f]|^['"\s]|\s#/.test(text)) return text;
  throw new FormatError(
    `${quotedKey(key)} ends with a backslash and needs quotes, which readers of dotenv take for an escaped quote; --format json, yaml, properties, shell or files hold it`,
  );
}
