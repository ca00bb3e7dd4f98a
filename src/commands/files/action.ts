import { quoted } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { isWithin } from '../../fs/directory/mounts.ts';
import { absolutePath } from '../../fs/directory/pinned-path.ts';
import { expandBraces } from '../../fs/tree/braces.ts';
import { parseModeChange } from '../../fs/tree/mode.ts';
import { isPattern, NamePattern } from '../../fs/tree/name-pattern.ts';

export const filesExample = 'initbox files mkdir:/data/a touch:/data/ready mode:0700:/data';

/** One name in a folder, or those that a pattern stands for. Paths are absolute. */
export interface NamedEntries {
  readonly folder: string;
  readonly names: string | NamePattern;
}

interface Make {
  readonly kind: 'mkdir' | 'touch';
  readonly path: string;
}

interface Move {
  readonly kind: 'move';
  readonly from: string;
  readonly path: string;
}

interface Link {
  readonly kind: 'link';
  /** As it is written into the link. */
  readonly target: string;
  readonly path: string;
}

interface SetMode {
  readonly kind: 'mode';
  readonly mode: string;
  /** As it was written. */
  readonly path: string;
  readonly entries: NamedEntries;
}

interface Remove {
  readonly kind: 'remove';
  /** As it was written. */
  readonly path: string;
  readonly entries: NamedEntries;
}

/** One thing to do, of those that a word stands for. */
export type Action = Make | Move | Link | SetMode | Remove;

const verbs = 'mkdir:PATH, touch:PATH, mode:MODE:PATH, move:FROM=TO, link:TARGET=PATH or remove:PATH';

/**
 * Reads `VERB:…`; braces stand for several paths, as in a shell.
 * @throws Error whose message says what is accepted
 */
export function parseActions(text: string): readonly Action[] {
  refuseUnexpanded('path', text, 'the action');
  const [, verb = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  switch (verb) {
    case 'mkdir':
    case 'touch':
      return plainPaths(verb, rest).map((path) => ({ kind: verb, path }));
    case 'remove':
      return alternatives(rest).map((path) => ({ kind: verb, path, entries: entriesOf(path) }));
    case 'mode':
      return modes(rest);
    case 'move': {
      const [from, path] = pair(verb, rest, 'FROM=TO');
      return [checkMove(text, { kind: verb, from: onePath(from), path: onePath(path) })];
    }
    case 'link': {
      const [target, path] = pair(verb, rest, 'TARGET=PATH');
      return [checkLink(text, { kind: verb, target, path: onePath(path) })];
    }
    default:
      throw new Error(`${quoted(text)} is not something to do with files; write ${verbs}`);
  }
}

/** @throws Error where the two paths can never be those of a move */
function checkMove(text: string, move: Move): Move {
  const { from, path } = move;
  if (from === path) throw new Error(`"${text}" moves ${path} to itself`);
  if (isWithin(path, from)) throw new Error(`"${text}" moves ${from} into itself`);
  if (isWithin(from, path))
    throw new Error(`"${text}" moves ${from} to where a folder is that holds it; move it elsewhere first`);
  return move;
}

/** @throws Error where nobody could follow the link */
function checkLink(text: string, link: Link): Link {
  const { target, path } = link;
  const aim = target.startsWith('/') ? target : `${path.slice(0, path.lastIndexOf('/'))}/${target}`;
  if (isWithin(absolutePath(aim), path))
    throw new Error(`"${text}" makes a link that leads to itself, which nobody can follow`);
  return link;
}

function modes(rest: string): readonly Action[] {
  const [, mode = '', path = ''] = /^([^:/]*):(.*)$/s.exec(rest) ?? [];
  if (mode === '')
    throw new Error(`"mode:${rest}" names no mode; write mode:MODE:PATH, such as mode:0700:/data`);
  // What is set on directories alone is refused later, where it turns out to be a file.
  parseModeChange(mode, 'directory');
  return alternatives(path).map((one) => ({
    kind: 'mode',
    mode,
    path: one,
    entries: entriesOf(one),
  }));
}

/** Paths that are no patterns. */
function plainPaths(verb: string, text: string): readonly string[] {
  return alternatives(text).map((path) => {
    if (verb === 'touch' && path.endsWith('/'))
      throw new Error(`${quoted(path)} ends in a slash; write the file itself`);
    return onePath(path.replaceAll(/\\(.)/gs, '$1'));
  });
}

function onePath(text: string): string {
  if (isPattern(text)) throw new Error(`${quoted(text)} is a pattern, which only remove: and mode: take`);
  return absolutePath(text);
}

/** @throws Error where there is no path, UsageError where a variable was not replaced */
function alternatives(text: string): readonly string[] {
  refuseUnexpanded('path', text, 'the path');
  return expandBraces(text).map((path) => {
    if (path === '')
      throw new Error(`${quoted(text)} stands for an empty path; write an absolute one such as /data/a`);
    return path;
  });
}

function pair(verb: string, rest: string, usage: string): [string, string] {
  const at = rest.indexOf('=');
  if (at <= 0 || at === rest.length - 1) throw new Error(`"${verb}:${rest}" has no ${usage}`);
  const both: [string, string] = [rest.slice(0, at), rest.slice(at + 1)];
  for (const one of both) refuseUnexpanded('path', one, 'the path');
  return both;
}

/** @throws Error where a pattern is not one, or not the last part */
function entriesOf(text: string): NamedEntries {
  const trimmed = text.replace(/(?<=.)\/+$/, '');
  const slash = trimmed.lastIndexOf('/');
  const last = trimmed.slice(slash + 1);
  const before = trimmed.slice(0, slash + 1);
  if (isPattern(before)) throw new Error(`${quoted(text)}: only the last part of a path may be a pattern`);
  if (!isPattern(last) && !text.includes('\\')) {
    const path = absolutePath(text);
    const at = path.lastIndexOf('/');
    return { folder: path.slice(0, at) || '/', names: path.slice(at + 1) };
  }
  if (trimmed !== text) throw new Error(`${quoted(text)} ends in a slash; a pattern stands for names`);
  const names = new NamePattern(last);
  if (names.hasDoubleStar)
    throw new Error(`${quoted(text)}: ** is not supported; a folder is removed with all that is in it`);
  return { folder: absolutePath(before.replaceAll(/\\(.)/gs, '$1') || '.'), names };
}

/** The folders that an action works in and the paths that it is about, to wait for their volumes. */
export function pathsOfAction(action: Action): readonly string[] {
  if (action.kind === 'move') return [action.from, action.path];
  return 'entries' in action ? [action.entries.folder] : [action.path];
}

/** As it is told. */
export function shownAction(action: Action): string {
  if (action.kind === 'move') return `move:${action.from}=${action.path}`;
  if (action.kind === 'link') return `link:${action.target}=${action.path}`;
  return action.kind === 'mode' ? `mode:${action.mode}:${action.path}` : `${action.kind}:${action.path}`;
}

/** @throws UsageError where a list undoes itself, so that no second run could leave all as it is */
export function refuseUndone(actions: readonly Action[]): void {
  for (const [index, action] of actions.entries()) {
    if (action.kind === 'mode' || action.kind === 'remove') continue;
    const removed = actions
      .slice(index + 1)
      .find((later) => later.kind === 'remove' && holds(later.entries, action.path));
    const moved = actions.find(
      (other) =>
        other.kind === 'move' &&
        (action.kind === 'move'
          ? // Others are renamed on and on, as logs are.
            other.from === action.path && other.path === action.from
          : isWithin(action.path, other.from)),
    );
    const other = removed ?? moved;
    if (other !== undefined)
      throw new UsageError(
        `${shownAction(other)} takes away what ${shownAction(action)} makes, so that each run would do both again; leave one of them out`,
      );
  }
}

function holds({ folder, names }: NamedEntries, path: string): boolean {
  const prefix = folder === '/' ? '/' : `${folder}/`;
  if (!path.startsWith(prefix)) return false;
  const [name = ''] = path.slice(prefix.length).split('/', 1);
  return typeof names === 'string' ? name === names : names.matchesAsInShell(name);
}
