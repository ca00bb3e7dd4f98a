import { checkVariableName, type Entries, plainText, quoted } from './entries.ts';

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
    const { word, expands } = dotenvWord(text);
    if (expands) expanding.push(key);
    return `${key}=${word}\n`;
  });
  const warnings =
    expanding.length === 0
      ? []
      : [
          `${expanding.map(quoted).join(', ')}: a single quote together with $ or \` can only be written in double quotes, in which a shell that sources the file, and dotenv readers that expand variables, would expand it; for those use --format shell or files`,
        ];
  return { bytes: Buffer.from(lines.join('')), warnings };
}

function dotenvWord(text: string): { readonly word: string; readonly expands: boolean } {
  if (/^[A-Za-z0-9_./:@%+,=-]*$/.test(text)) return { word: text, expands: false };
  // python-dotenv reads \\ and \' as escapes even here, and its file object turns a carriage return into a line end.
  if (!/['\r]|\\\\|\\$/.test(text)) return { word: `'${text}'`, expands: false };
  const escaped = text.replace(/[\\"]/g, '\\$&').replaceAll('\r', '\\r').replaceAll('\n', '\\n');
  return { word: `"${escaped}"`, expands: /[$`]/.test(text) };
}
