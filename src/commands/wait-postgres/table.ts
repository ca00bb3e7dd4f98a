import { quoted } from '../../core/misplaced-secret.ts';
/** A table as SQL writes it: `public.users`, `users`, `public."User"`. */
export interface TableName {
  /** As it was given, which to_regclass reads as psql does. */
  readonly text: string;
  /** True where unquoted capitals would be read as small letters. */
  readonly folds: boolean;
}

const part = /^(?:"(?:[^"\0]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)/u;

/**
 * Reads `[SCHEMA.]TABLE`. Names of more than 63 bytes are cut by the server: they would name another table.
 * @throws Error that says what is accepted
 */
export function parseTable(text: string): TableName {
  const parts: string[] = [];
  let rest = text.trim();
  for (;;) {
    const name = part.exec(rest)?.[0];
    if (name === undefined) break;
    parts.push(name);
    rest = rest.slice(name.length);
    if (!rest.startsWith('.')) break;
    rest = rest.slice(1);
  }
  if (rest !== '' || parts.length === 0 || parts.length > 2 || text.trim().endsWith('.')) {
    throw new Error(
      `${quoted(text)} is not the name of a table; write public.users, or public."User" where its name has capitals`,
    );
  }
  const long = parts.find((name) => Buffer.byteLength(name.replace(/^"|"$/g, '').replaceAll('""', '"')) > 63);
  if (long !== undefined)
    throw new Error(`the name ${long} is longer than the 63 bytes that PostgreSQL keeps`);
  return {
    text: text.trim(),
    folds: parts.some((name) => !name.startsWith('"') && name !== name.toLowerCase()),
  };
}
