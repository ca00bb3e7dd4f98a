import type { Mount } from '../../fs/directory/mounts.ts';
import { counted, grouped, type WalkProblem } from '../../fs/tree/tally.ts';
import type { Capability } from '../../process/capabilities.ts';
import { explainChownError } from './explain.ts';
import type { ChownTally } from './tally.ts';

/** What was found and done, for the summary line. */
export function chownSummary(tally: ChownTally, what: string, dryRun: boolean): string {
  const parts = [
    `${grouped(tally.changed)} ${dryRun ? 'to change' : 'changed'} to ${what}`,
    `${grouped(tally.right)} right already`,
  ];
  if (tally.spared > 0) parts.push(`${grouped(tally.spared)} of other owners left (--from)`);
  if (tally.excluded > 0) parts.push(`${grouped(tally.excluded)} excluded`);
  if (tally.vanished > 0) parts.push(`${grouped(tally.vanished)} vanished meanwhile`);
  if (tally.crossed > 0)
    parts.push(`${counted(tally.crossed, 'mount')} not entered (--no-one-file-system enters)`);
  return `${counted(tally.entries, 'entry', 'entries')}, ${parts.join(', ')}`;
}

/** Each explanation once. */
export function problemHints(
  problems: readonly Pick<WalkProblem, 'code'>[],
  mount: Mount | undefined,
  has: ((capability: Capability) => boolean) | undefined,
): readonly string[] {
  const hints = new Set(
    problems.map(({ code }) => explainChownError(code, mount, has)).filter((hint) => hint !== undefined),
  );
  return [...hints].slice(0, 3);
}
