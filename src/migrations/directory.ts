import { reasonOf } from '../core/clock.ts';
import { UsageError } from '../core/outcome.ts';
import { discover, type Naming } from './discover.ts';
import type { Marking } from './markers.ts';
import type { KnownFile } from './plan.ts';
import { readScript } from './script.ts';

/** A directory of migrations, each file read once; their content is not kept. */
export interface MigrationDirectory {
  readonly naming: Naming;
  /** Whose convention it is: by the names, or by the marks in the files. */
  readonly convention: Naming | Marking;
  readonly files: readonly KnownFile[];
  /** The files that undo, which nothing runs. */
  readonly leftOut: readonly string[];
}

/** Markings under which a file without marks is a whole file that migrates up. */
const markedAtWill: ReadonlySet<Marking> = new Set(['node-pg-migrate', 'tern']);

/**
 * Reads all files and tells the directory's convention. Needs no database: call it before there is one.
 * @throws UsageError naming the files; the signal's reason
 */
export async function readDirectory(directory: string, signal: AbortSignal): Promise<MigrationDirectory> {
  const { naming, files, leftOut } = await discover(directory);
  const known: KnownFile[] = [];
  const markings = new Map<Marking, string>();
  for (const found of files) {
    if (signal.aborted) throw reasonOf(signal);
    const { sha256, marking } = await readScript(found, naming);
    known.push({ found, sha256 });
    if (!markings.has(marking)) markings.set(marking, found.file);
  }
  const [marking = 'none', ...others] = [...markings.keys()].filter((one) => one !== 'none');
  const unmarked = markings.get('none');
  if (others[0] !== undefined) {
    throw new UsageError(
      `${directory}: ${markings.get(marking)} is marked as ${marking} has it, ${markings.get(others[0])} as ${others[0]} has it; keep to one`,
    );
  }
  if (marking !== 'none' && unmarked !== undefined && !markedAtWill.has(marking)) {
    throw new UsageError(
      `${directory}: ${unmarked} has no marks, while ${markings.get(marking)} is marked as ${marking} has it; mark it too`,
    );
  }
  return {
    naming,
    convention: marking !== 'none' ? marking : naming === 'numbered' ? 'none' : naming,
    files: known,
    leftOut,
  };
}
