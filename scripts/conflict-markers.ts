/**
 * Refuses what a merge leaves where nobody decided: `node scripts/conflict-markers.ts [FOLDER]` looks at all files that
 * Git knows or would take, prints each marker's place, and ends with 1 where there is one.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { argv } from 'node:process';

/** The lines of a text, counted from 1, that are markers of `git merge`, of its diff3 style too. */
export function conflictMarkers(name: string, text: string): number[] {
  const lines = text.split(/\r?\n/);
  const found: number[] = [];
  for (const [index, line] of lines.entries())
    if (/^(<{7}|>{7}|\|{7})( |$)/.test(line)) found.push(index + 1);
  const certain = found.length > 0;
  for (const [index, line] of lines.entries()) {
    if (!/^={7}$/.test(line)) continue;
    // In Markdown it may underline a heading, which has its text above; between other markers it does not.
    const heading = !certain && name.endsWith('.md') && /\S/.test(lines[index - 1] ?? '');
    if (!heading) found.push(index + 1);
  }
  return found.toSorted((a, b) => a - b);
}

function check(folder: string): number {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  let count = 0;
  for (const name of new Set(listed.split('\0').filter(Boolean))) {
    for (const line of conflictMarkers(name, textOf(join(folder, name)))) {
      console.error(
        `${name}:${line}: a marker of a merge conflict; decide between the two sides and remove it`,
      );
      count += 1;
    }
  }
  return count === 0 ? 0 : 1;
}

/** Nothing where it is deleted, a link to nothing, or a submodule's folder. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

if (import.meta.main) process.exitCode = check(argv[2] ?? join(import.meta.dirname, '..'));
