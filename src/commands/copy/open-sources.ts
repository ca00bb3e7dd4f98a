import { fstatSync, realpathSync } from 'node:fs';

import { statInput } from '../../fs/input-file.ts';
import type { Exclude } from '../../fs/tree/exclude.ts';
import { isPattern } from '../../fs/tree/name-pattern.ts';
import { checkInBase, checkPattern, expandSources } from './glob.ts';
import {
  checkSource,
  closeSourceRoot,
  fileLeadsElsewhere,
  isSourceMissing,
  openIfThere,
  type SourceRoot,
} from './sources.ts';

/** What the sources of a request stand for. */
export interface SourceTexts {
  readonly sources: readonly string[];
  /** Whether a source may be missing. */
  readonly ifExists: boolean;
}

/**
 * How often the sources are looked up before it is believed that something is wrong with them: a link that leads to the
 * next release, and the old one removed, while its path is followed, are neither a missing source nor one of no match.
 */
export const mostLooks = 3;

interface Found {
  readonly roots: readonly SourceRoot[];
  readonly missing: readonly string[];
  /** Each source, and which folder it is. */
  readonly keys: readonly string[];
}

/** What the sources stood for at one moment, held open. */
export class OpenSources implements Disposable {
  readonly roots: readonly SourceRoot[];
  /** Sources that need not be there, and were not. */
  readonly missing: readonly string[];
  readonly #texts: SourceTexts;
  readonly #exclude: Exclude | undefined;
  readonly #keys: readonly string[];

  /** @throws UsageError */
  constructor(texts: SourceTexts, exclude: Exclude | undefined) {
    this.#texts = texts;
    this.#exclude = exclude;
    const found = lookedUp(texts, exclude);
    this.roots = found.roots;
    this.missing = found.missing;
    this.#keys = found.keys;
  }

  /**
   * Whether their paths and patterns stand for something else by now: a match that came or went, or a path that leads to
   * another folder, or by a link to another file. One look at each.
   */
  leadElsewhere(): boolean {
    let count = 0;
    try {
      for (const { text } of expandSources(this.#texts.sources, this.#exclude, this.#texts.ifExists))
        if (this.#keys[count++] !== keyNow(text, this.#texts.ifExists)) return true;
    } catch {
      return true; // the next try says what is wrong with it
    }
    if (count !== this.#keys.length) return true;
    return this.roots.some(({ stat, text, real }) => stat.isFile() && fileLeadsElsewhere(text, real));
  }

  [Symbol.dispose](): void {
    for (const root of this.roots) closeSourceRoot(root);
  }
}

/** What is missing, or wrong, counts only where another look says the same. @throws UsageError */
function lookedUp(texts: SourceTexts, exclude: Exclude | undefined): Found {
  for (const text of texts.sources) {
    checkSource(text);
    checkPattern(text);
  }
  for (let look = 1, before: string | undefined; ; look++) {
    let found: Found;
    try {
      found = opened(texts, exclude);
    } catch (error) {
      if (look >= mostLooks) throw error;
      continue;
    }
    const mayLack = texts.ifExists && (found.missing.length > 0 || texts.sources.some(isPattern));
    const now = found.keys.join('\n');
    if (!mayLack || look >= mostLooks || now === before) return found;
    before = now;
    for (const root of found.roots) closeSourceRoot(root);
  }
}

/** Opens each match of each source. @throws UsageError */
function opened({ sources, ifExists }: SourceTexts, exclude: Exclude | undefined): Found {
  const roots: SourceRoot[] = [];
  const missing: string[] = [];
  const keys: string[] = [];
  try {
    for (const source of expandSources(sources, exclude, ifExists)) {
      const root = openIfThere(source.text, ifExists);
      keys.push(keyOf(source.text, root));
      if (root === undefined) {
        missing.push(source.text);
        continue;
      }
      roots.push(root);
      if (source.base !== undefined) checkInBase(source, realpathSync(source.base), root);
    }
    return { roots, missing, keys };
  } catch (error) {
    for (const root of roots) closeSourceRoot(root);
    throw error;
  }
}

/** Of a file only that it is one: what is copied of it is what was opened. */
function keyOf(text: string, root: SourceRoot | undefined): string {
  if (root === undefined) return `${text}\nmissing`;
  if (!root.stat.isDirectory()) return `${text}\nfile`;
  // Of a volume that keeps versions, the volume itself: whether it moved on is looked at elsewhere (isOutdated).
  const { dev, ino } = root.volume === undefined ? root.stat : fstatSync(root.volume);
  return `${text}\n${dev} ${ino}`;
}

/** The same of what the path leads to now. @throws LinkInPath, or the system's error */
function keyNow(text: string, optional: boolean): string {
  try {
    const stat = statInput(text);
    const { dev, ino } = stat;
    return stat.isDirectory() ? `${text}\n${dev} ${ino}` : `${text}\nfile`;
  } catch (error) {
    if (optional && isSourceMissing(error)) return `${text}\nmissing`;
    throw error;
  }
}
