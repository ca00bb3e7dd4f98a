import { UsageError } from '../core/outcome.ts';
import { accepts, type Acceptance } from './accept.ts';
import { some, type Found } from './discover.ts';
import type { RecordChange, Row } from './history.ts';
import { compareVersions, parseVersion, type Version } from './version.ts';

/** A file with the checksum of what it would run. */
export interface KnownFile {
  readonly found: Found;
  readonly sha256: string;
}

/** Why nothing may run before somebody has looked. */
export interface PlanProblem {
  readonly kind: 'changed' | 'late' | 'missing' | 'half-done' | 'baseline';
  readonly file: string;
  readonly version: string;
  readonly text: string;
  /** The ways on. */
  readonly hint: string;
  /** Of what is half done: the file that is there, if any, does not tell what may be left of it. */
  readonly restsUnknown?: boolean;
}

export interface MigrationPlan {
  readonly problems: readonly PlanProblem[];
  readonly warnings: readonly string[];
  /** To be written before anything runs. */
  readonly changes: readonly RecordChange[];
  /** To be run, in this order, with the row that each had before. */
  readonly pending: readonly {
    readonly found: Found;
    readonly sha256: string;
    readonly before: Row | undefined;
  }[];
  readonly applied: number;
}

/** How the option is called in the ways on. */
const option = '--accept';

/**
 * Compares the directory with the record.
 * @param baseline the version up to which another tool has migrated; `0` is none
 * @throws UsageError where the baseline is no version of the directory
 */
export function migrationPlanOf(
  files: readonly KnownFile[],
  rows: readonly Row[],
  settings: { readonly baseline: string | undefined; readonly accept: readonly Acceptance[] },
): MigrationPlan {
  const { accept } = settings;
  const recorded = new Map(rows.map((row) => [row.version, row]));
  const base = baselineOf(settings.baseline, files);
  const problems: PlanProblem[] = [];
  const warnings: string[] = [];
  const changes: RecordChange[] = [];
  const pending: { found: Found; sha256: string; before: Row | undefined }[] = [];
  const newest = latest(rows.map((row) => parseVersion(row.version)));
  let applied = 0;

  for (const { found, sha256 } of files) {
    const { file, key, version } = found;
    const row = recorded.get(key);
    const change = (state: RecordChange['state']): void => void changes.push({ key, file, sha256, state });
    if (row === undefined) {
      const covered = version !== undefined && base !== undefined && compareVersions(version, base) <= 0;
      if (covered && rows.length === 0) change('baseline');
      else if (accepts(accept, 'done', key)) change('baseline');
      else if (covered) {
        problems.push({
          kind: 'baseline',
          file,
          version: key,
          text: `${file} is covered by --baseline ${settings.baseline}, but the record has begun without it`,
          hint: `a baseline is for an empty record; ${option} done:${key} records it without running it; without --baseline it is run`,
        });
      } else if (version && newest && compareVersions(version, newest) < 0 && !accepts(accept, 'late', key)) {
        problems.push({
          kind: 'late',
          file,
          version: key,
          text: `${file} has not run, but version ${newest.text}, which comes after it, has`,
          hint: `give it a number after ${newest.text}, or run it late with ${option} late:${key}`,
        });
      } else pending.push({ found, sha256, before: undefined });
      continue;
    }
    if (isHalfDone(row)) {
      if (accepts(accept, 'done', key)) change('done');
      else if (accepts(accept, 'again', key)) pending.push({ found, sha256, before: row });
      else problems.push(halfDone(row, { file, sha256 }));
      continue;
    }
    applied++;
    if (row.sha256 === sha256) continue;
    if (version === undefined) pending.push({ found, sha256, before: row });
    else if (accepts(accept, 'changed', key)) change(row.state === 'baseline' ? 'baseline' : 'done');
    else {
      problems.push({
        kind: 'changed',
        file,
        version: key,
        text: `${file} has changed since it ran (sha256 ${row.sha256.slice(0, 12)}… then, ${sha256.slice(0, 12)}… now)`,
        hint: `restore it and put the change in a new file, or record the file as it is now with ${option} changed:${key}`,
      });
    }
  }
  judgeMissing(files, rows, accept, { problems, warnings, changes });
  return { problems, warnings, changes, pending, applied };
}

function baselineOf(text: string | undefined, files: readonly KnownFile[]): Version | undefined {
  if (text === undefined || text === '0') return undefined;
  const versions = files.map(({ found }) => found.version).filter((version) => version !== undefined);
  const given = parseVersion(text);
  if (given === undefined || !versions.some((version) => version.key === given.key)) {
    throw new UsageError(
      `--baseline ${text}: no file has that version; the files are ${some(
        versions.map((version) => version.text),
        12,
      )}, and 0 stands for none`,
    );
  }
  return given;
}

/**
 * A row that was retired before its statements had all ended is one as well: earlier releases accepted half-done files as
 * missing.
 */
function isHalfDone(row: Row): boolean {
  return row.state === 'running' || (row.state === 'retired' && row.finished < row.statements);
}

/** @param now the file as it is now; undefined where it is gone */
function halfDone(
  row: Row,
  now: { readonly file: string; readonly sha256: string } | undefined,
): PlanProblem {
  const { version } = row;
  const file = now?.file ?? row.file;
  const far =
    row.statements === 1
      ? 'its one statement is not known to have ended'
      : `${row.finished} of ${row.statements} statements are known to have ended`;
  const since =
    now === undefined
      ? '; its file is gone since'
      : row.sha256 === now.sha256
        ? ''
        : '; the file has changed since';
  const again =
    now === undefined
      ? `undo what it did and forget it with ${option} again:${version}`
      : `undo what it did and run the file from its start with ${option} again:${version}`;
  return {
    kind: 'half-done',
    file,
    version,
    text: `${file} began outside a transaction at ${row.startedAt} and did not end: ${far}${since}`,
    hint: `see what is there; then either ${again}, or finish it by hand and record it with ${option} done:${version}`,
    restsUnknown: row.sha256 !== now?.sha256,
  };
}

/**
 * What is recorded and has no file: older than the newest file it is a hole, newer it is a release that was undone. What is
 * half done is so whether its file is there or not.
 */
function judgeMissing(
  files: readonly KnownFile[],
  rows: readonly Row[],
  accept: readonly Acceptance[],
  into: { problems: PlanProblem[]; warnings: string[]; changes: RecordChange[] },
): void {
  const keys = new Set(files.map(({ found }) => found.key));
  const last = latest(files.map(({ found }) => found.version));
  const ahead: string[] = [];
  for (const row of rows) {
    const version = parseVersion(row.version);
    if (keys.has(row.version) || row.state === 'retired') continue;
    const { file, sha256 } = row;
    const newer = version !== undefined && last !== undefined && compareVersions(version, last) > 0;
    if (row.state === 'running') {
      const change = (state: RecordChange['state']): void =>
        void into.changes.push({ key: row.version, file, sha256, state });
      // Who accepts one by one what is half done knows that its file is gone.
      if (accepts(accept, 'done', row.version)) change(version === undefined || newer ? 'done' : 'retired');
      else if (accepts(accept, 'again', row.version)) change('undone');
      else into.problems.push(halfDone(row, undefined));
      continue;
    }
    if (version === undefined) continue;
    if (newer) {
      ahead.push(row.file);
    } else if (accepts(accept, 'missing', row.version)) {
      into.changes.push({ key: row.version, file: row.file, sha256: row.sha256, state: 'retired' });
    } else {
      into.problems.push({
        kind: 'missing',
        file: row.file,
        version: row.version,
        text: `${row.file} has run, but its file is gone`,
        hint: `restore it, or accept that it is gone with ${option} missing:${row.version}; where the record is another application's, give each a --lock-name of its own`,
      });
    }
  }
  if (ahead.length > 0) {
    into.warnings.push(
      `the database is ahead of this directory: ${some(ahead)} ran before, and an older release is starting; nothing is undone`,
    );
  }
}

function latest(versions: readonly (Version | undefined)[]): Version | undefined {
  let found: Version | undefined;
  for (const version of versions) {
    if (version !== undefined && (found === undefined || compareVersions(version, found) > 0))
      found = version;
  }
  return found;
}
