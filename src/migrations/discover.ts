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
  /** The files that undo, which nothing runs. */
  readonly leftOut: readonly string[];
}

const accepted =
  'accepted are 001_name.sql, 20240101120000_name.sql, 1_name.up.sql (golang-migrate) and V1.1__name.sql (Flyway)';

/** golang-migrate's own expression (source/parse.go), for .sql. */
const golangMigrate = /^([0-9]+)_(.*)\.(down|up)\.sql$/;
const flyway = /^(?:V(\d+(?:[._]\d+)*)(?:__.*)?|R__(.+)|U\d+(?:[._]\d+)*(?:__.*)?)\.sql$/;
const numbered = /^(\d+(?:\.\d+)*)(?!\d|\.\d).*\.sql$/;
/** Migrations as programs: to leave them out in silence would leave a hole in the order. */
const program =
  /^(?:V?\d[^/]*|R__[^/]*)\.(?:go|js|cjs|mjs|jsx|ts|cts|mts|py|rb|php|sh|java|class|kts?|exs?|cs|fs|vb|groovy|scala|clj[cs]?|edn|rs|pl|lua)$/;

/** Numbered as migrations are, and not SQL by its ending: another form, a template, packed, or a slip of the pen. */
const otherForm = /^(?:V?\d|R__).*(?<!\.sql)$/is;
/** Endings of what lies beside migrations and is none: settings and sums of a file, backups, notes, data, pictures. */
const beside =
  /(?:\.(?:conf|bak|orig|rej|old|save|swp|md5|sha\d+|sum|sig|asc|md|markdown|rst|adoc|html?|csv|tsv|pdf|png|svg)|~)$/i;

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
  const unread = names.filter((name) => otherForm.test(name) && !beside.test(name));
  if (unread.length > 0 && scripts.length > 0) {
    throw new UsageError(
      `${directory} holds numbered files that are not .sql (${some(unread)}), and to leave them out could leave a hole; end their names with .sql where they are SQL, or move them to another folder`,
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
  const kept = new Set(files.map(({ file }) => file));
  return { naming, files, leftOut: scripts.filter((file) => !kept.has(file)) };
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

const undoWords = '(?:down|undo|rollback|revert|downgrade|uninstall|undeploy)';
const undoWord = new RegExp(`^${undoWords}$`, 'i');
const upWord = /^(?:up|do|apply|forward|upgrade|install|deploy|migrate)$/i;
/** A tool's form: "002.undo.a.sql", "0002.a.rollback.sql", and a name that is nothing else. */
const undoForm = new RegExp(`^\\d[\\d.]*(?:\\.${undoWords}\\.|(?:.*\\.|[_-])${undoWords}\\.sql$)`, 'i');

/** pg-migrator's names (https://www.npmjs.com/package/pg-migrator): from one version to another. */
const fromTo = /^0*(\d+)-0*(\d+)\.sql$/i;

/** "2-1" of "2-1.sql", where it goes back from there and "1-2.sql" is among the names. */
function goesBack(file: string, ways: ReadonlySet<string>): boolean {
  const [, from = '', to = ''] = fromTo.exec(file) ?? [];
  return ways.has(`${to}-${from}`) && (from.length - to.length || (from > to ? 1 : -1)) > 0;
}

interface Words {
  /** The words of a name behind its number, but for the one of a direction at its beginning or end. */
  readonly rest: string;
  readonly direction: 'up' | 'undo' | undefined;
  /** That word ends the name. */
  readonly last: boolean;
}

/** A name can be read in several ways: "001_undo_log.sql" is the log of what is undone, or undoes "001_log.sql". */
function readingsOf(file: string): readonly Words[] {
  const text = file.slice(numbered.exec(file)?.[1]?.length ?? 0).replace(/\.sql$/i, '');
  const words = text.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
  const read = (word: string, others: readonly string[], last: boolean): Words[] => {
    const direction = undoWord.test(word) ? 'undo' : upWord.test(word) ? 'up' : undefined;
    return direction === undefined ? [] : [{ rest: others.join(' ').toLowerCase(), direction, last }];
  };
  return [
    { rest: words.join(' ').toLowerCase(), direction: undefined, last: false },
    ...read(words.at(-1) ?? '', words.slice(0, -1), true),
    ...(words.length > 1 ? read(words[0] ?? '', words.slice(1), false) : []),
  ];
}

/**
 * The files that undo the one of their own number: the same words and one for undoing.
 * @throws UsageError for one with a number of its own that has a tool's form of a file that undoes, goes back from one
 *   version to another, or ends with a word for undoing where a file of the same words is there. It may be a migration: to
 *   leave it out would be as bad as to run one that undoes.
 */
function undoFiles(directory: string, scripts: readonly string[]): ReadonlySet<string> {
  const all = scripts.map((file) => ({
    file,
    version: parseVersion(numbered.exec(file)?.[1] ?? '')?.key,
    readings: readingsOf(file),
  }));
  const forward = new Map<string, (typeof all)[number][]>();
  for (const one of all) {
    for (const { direction, rest } of one.readings)
      if (direction !== 'undo') forward.set(rest, [...(forward.get(rest) ?? []), one]);
  }
  const ways = new Set(
    scripts.flatMap((file) => {
      const [, from, to] = fromTo.exec(file) ?? [];
      return from === undefined || from === to ? [] : [`${from}-${to}`];
    }),
  );
  const left = new Set<string>();
  const unclear: string[] = [];
  for (const one of all) {
    const { file, version, readings } = one;
    const undoing = readings.filter(({ direction }) => direction === 'undo');
    const partners = ({ rest }: Words): (typeof all)[number][] =>
      (forward.get(rest) ?? []).filter((other) => other !== one);
    if (undoing.some((words) => partners(words).some((other) => other.version === version))) left.add(file);
    else if (
      undoForm.test(file) ||
      goesBack(file, ways) ||
      undoing.some((words) => words.last && partners(words).length > 0)
    )
      unclear.push(file);
  }
  if (unclear.length > 0) {
    const one = unclear.length === 1;
    throw new UsageError(
      `${directory}: ${some(unclear)} ${one ? 'is named like a file that undoes' : 'are named like files that undo'} a migration; ` +
        'if it migrates forward, rename it and keep its number; if it undoes one, move it to another directory',
    );
  }
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
