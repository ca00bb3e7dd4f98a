import { join } from 'node:path';

import { UsageError } from '../core/outcome.ts';
import { inputKind, namesInInput, whyUnread } from '../fs/input-file.ts';
import { compareVersions, parseVersion, type Version } from './version.ts';

/** Whose way of naming files a directory follows. `numbered` is every tool that puts a number first. */
export type Naming = 'golang-migrate' | 'flyway' | 'numbered';

/** One file that migrates up. */
export interface Found {
  readonly file: string;
  readonly path: string;
  /** What identifies it in the record: a version's key, or `R__description` of a repeatable one. */
  readonly key: string;
  /** Undefined where it is repeatable: run again whenever its content changes, after all others. */
  readonly version: Version | undefined;
  /** Flyway's settings file beside it. */
  readonly settings: string | undefined;
}

export interface Listing {
  readonly naming: Naming;
  /** In the order in which they run. */
  readonly files: readonly Found[];
}

const accepted =
  'accepted are 001_name.sql, 20240101120000_name.sql, 1_name.up.sql (golang-migrate) and V1.1__name.sql (Flyway)';

/** golang-migrate's own expression (source/parse.go), for .sql. */
const golangMigrate = /^([0-9]+)_(.*)\.(down|up)\.sql$/;
const flyway = /^(?:V(\d+(?:[._]\d+)*)(?:__.*)?|R__(.+)|U\d+(?:[._]\d+)*(?:__.*)?)\.sql$/;
const numbered = /^(\d+(?:\.\d+)*)(?!\d|\.\d).*\.sql$/;
/** Migrations as programs: to leave them out in silence would leave a hole in the order. */
const program =
  /^(?:V?\d[^/]*|R__[^/]*)\.(?:go|js|cjs|mjs|jsx|ts|cts|mts|py|rb|php|sh|java|class|kt|exs|cs)$/;

/**
 * Lists the migrations of a directory and tells whose convention it follows by the names alone.
 * Hidden entries, files of other kinds and the files that undo are left out.
 * @throws UsageError naming the files: an empty or unreadable directory, names that fit no convention or several, two
 *   files of one version
 */
export async function discover(directory: string): Promise<Listing> {
  const names = namesIn(directory);
  const scripts = names.filter((name) => /\.sql$/i.test(name));
  const foreign = names.filter((name) => program.test(name));
  if (foreign.length > 0) {
    throw new UsageError(
      `${directory} holds migrations that are programs (${some(foreign)}); only their own tool can run them: migrate-with-lock -- TOOL`,
    );
  }
  refuseFolders(directory, names);
  if (scripts.length === 0) {
    throw new UsageError(
      `${directory} holds no migration${names.length > 0 ? `, only ${some(names)}` : ': it is empty'}; ${accepted}`,
    );
  }
  const naming = namingOf(directory, scripts);
  const undoes = naming === 'numbered' ? undoFiles(directory, scripts) : new Set<string>();
  const files = scripts
    .filter((file) => !undoes.has(file))
    .map((file) => toFound(directory, file, naming, names))
    .filter((found) => found !== undefined)
    .toSorted(inOrder);
  if (files.length === 0) throw new UsageError(`${directory} holds only files that undo (${some(scripts)})`);
  refuseTwins(directory, files);
  return { naming, files };
}

function namesIn(directory: string): string[] {
  try {
    // A ConfigMap's volume holds links into a hidden folder, so hidden names are never what is meant.
    return namesInInput(directory).filter((name) => !name.startsWith('.'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const words: Readonly<Record<string, string>> = {
      ENOENT: `there is no directory ${directory}`,
      ENOTDIR: `${directory} is a file; --sql takes the directory that holds the migrations`,
      EACCES: `the directory ${directory} may not be read by this user`,
    };
    throw new UsageError(words[code ?? ''] ?? `the directory ${directory} ${whyUnread(error)}`, {
      cause: error,
    });
  }
}

/** Prisma, Diesel and others keep a folder per migration, Flyway searches folders below: none may be passed over. */
function refuseFolders(directory: string, names: readonly string[]): void {
  for (const name of names) {
    const path = join(directory, name);
    const kind = kindAt(path);
    if (kind === undefined) throw new UsageError(`${path} cannot be read (ENOENT)`);
    if (kind === 'folder') {
      const inside = insideOf(path);
      const script = inside.find((entry) => /\.sql$/i.test(entry));
      if (script === undefined && !name.endsWith('.sql')) continue;
      throw new UsageError(
        `${join(path, script ?? '')} lies in a folder below ${directory}; --sql reads one directory of files, so that a layout of a folder per migration needs its own tool`,
      );
    }
    if (/\.sql$/i.test(name) && kind !== 'file') throw new UsageError(`${path} is not a regular file`);
  }
}

function kindAt(path: string): ReturnType<typeof inputKind> {
  try {
    return inputKind(path);
  } catch (error) {
    throw new UsageError(`${path} ${whyUnread(error)}`, { cause: error });
  }
}

function insideOf(folder: string): string[] {
  try {
    return namesInInput(folder);
  } catch {
    return [];
  }
}

function namingOf(directory: string, scripts: readonly string[]): Naming {
  const candidates: readonly [Naming, RegExp][] = [
    ['golang-migrate', golangMigrate],
    ['flyway', flyway],
    ['numbered', numbered],
  ];
  const [naming, expression] = candidates.find(([, names]) => scripts.some((name) => names.test(name))) ?? [];
  if (naming === undefined || expression === undefined) {
    throw new UsageError(`${directory}: no name begins with a version (${some(scripts)}); ${accepted}`);
  }
  const others = scripts.filter((name) => !expression.test(name));
  if (others.length > 0) {
    const example = scripts.find((name) => expression.test(name)) ?? '';
    throw new UsageError(
      `${directory}: ${some(others)} ${others.length === 1 ? 'does' : 'do'} not fit the names of ${namingText[naming]} such as ${example}, and would be left out`,
    );
  }
  return naming;
}

const undoWord = /^(?:down|undo|rollback|revert|downgrade|uninstall|undeploy)$/i;
const upWord = /^(?:up|do|apply|forward|upgrade|install|deploy|migrate)$/i;
/** Of "count_down" and the like, "down" is a part. */
const verb =
  /^(?:break|close|cool|count|cut|drill|drop|fall|lock|mark|push|roll|scale|shut|slow|step|tear|top|trickle|wind|write)$/i;

interface Words {
  readonly file: string;
  /** The words of a name behind its number, but for the one of a direction at its beginning or end. */
  readonly rest: string;
  readonly direction: 'up' | 'undo' | undefined;
  /** True where the word stands so that it can hardly be a part of a sentence. */
  readonly plain: boolean;
}

function wordsOf(file: string): Words[] {
  const text = file.slice(numbered.exec(file)?.[1]?.length ?? 0).replace(/\.sql$/i, '');
  const words = text.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
  const [first = '', last = ''] = [words[0], words.at(-1)];
  const found: Words[] = [{ file, rest: words.join(' ').toLowerCase(), direction: undefined, plain: false }];
  const add = (word: string, others: readonly string[], plain: boolean): void => {
    const direction = undoWord.test(word) ? 'undo' : upWord.test(word) ? 'up' : undefined;
    if (direction !== undefined) found.push({ file, rest: others.join(' ').toLowerCase(), direction, plain });
  };
  add(last, words.slice(0, -1), !verb.test(words.at(-2) ?? ''));
  // "002.undo.a.sql"; in "002_undo_log.sql" it is a name.
  if (words.length > 1) add(first, words.slice(1), new RegExp(`^[._-]${first}\\.`, 'u').test(text));
  return found;
}

/**
 * The files that undo, by a word in their names: those beside a file of the same words for the way up.
 * @throws UsageError for one without such a file: whether it undoes cannot be known, and to run it would be the worst
 */
function undoFiles(directory: string, scripts: readonly string[]): ReadonlySet<string> {
  const all = scripts.flatMap(wordsOf);
  const ups = new Set(
    all.filter(({ direction }) => direction !== 'undo').map(({ file, rest }) => `${rest}/${file}`),
  );
  const undoing = all.filter(({ direction }) => direction === 'undo');
  const hasUp = ({ file, rest }: Words): boolean =>
    [...ups].some((up) => up.startsWith(`${rest}/`) && up !== `${rest}/${file}`);
  const left = new Set(undoing.filter(hasUp).map(({ file }) => file));
  const unclear = undoing.filter(({ file, plain }) => plain && !left.has(file)).map(({ file }) => file);
  if (unclear.length > 0)
    throw new UsageError(
      `${directory}: ${some([...new Set(unclear)])} may undo a migration, by the name, and would run as one; take it out of the directory, or give it another name`,
    );
  return left;
}

const namingText: Readonly<Record<Naming, string>> = {
  'golang-migrate': 'golang-migrate',
  flyway: 'Flyway (its callbacks and B__ files are not supported)',
  numbered: 'numbered files',
};

function toFound(
  directory: string,
  file: string,
  naming: Naming,
  names: readonly string[],
): Found | undefined {
  const path = join(directory, file);
  const settings = naming === 'flyway' && names.includes(`${file}.conf`) ? `${path}.conf` : undefined;
  let text: string | undefined;
  if (naming === 'golang-migrate') {
    const match = golangMigrate.exec(file);
    text = match?.[3] === 'up' ? match[1] : undefined;
  } else if (naming === 'flyway') {
    const match = flyway.exec(file);
    if (match?.[2] !== undefined) return { file, path, key: `R__${match[2]}`, version: undefined, settings };
    text = match?.[1];
  } else {
    text = numbered.exec(file)?.[1];
  }
  const version = text === undefined ? undefined : parseVersion(text);
  return version === undefined ? undefined : { file, path, key: version.key, version, settings };
}

function inOrder(a: Found, b: Found): number {
  if (a.version && b.version) return compareVersions(a.version, b.version);
  if (a.version || b.version) return a.version ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}

function refuseTwins(directory: string, files: readonly Found[]): void {
  for (const [index, file] of files.entries()) {
    const next = files[index + 1];
    if (next !== undefined && next.key === file.key) {
      throw new UsageError(
        `${directory}: ${file.file} and ${next.file} are both version ${file.key}; give one of them another number`,
      );
    }
  }
}

/** A few names for a message. */
export function some(names: readonly string[], limit = 3): string {
  const shown = names.slice(0, limit).join(', ');
  return names.length > limit ? `${shown} and ${names.length - limit} more` : shown;
}
