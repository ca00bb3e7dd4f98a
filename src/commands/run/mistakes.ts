import type { Position } from '../../clients/yaml/nodes.ts';
import { UsageError } from '../../core/outcome.ts';

/** Mistakes that are told at once. */
const mostTold = 50;

/** Every mistake in one error, in the order of the text. */
export function refusal(origin: string, mistakes: readonly string[]): UsageError {
  if (mistakes.length === 1) return new UsageError(mistakes[0] ?? '');
  const rest = mistakes.length > mostTold ? [`and ${mistakes.length - mostTold} more`] : [];
  const sorted = mistakes.toSorted((a, b) => placeOf(a, origin) - placeOf(b, origin));
  return new UsageError([`${origin} has ${mistakes.length} mistakes`, ...sorted.slice(0, mostTold), ...rest]);
}

/** The line and column that a mistake begins with, as in `plan.yaml:3:5: …`, as a number to sort by. */
function placeOf(mistake: string, origin: string): number {
  const [line, column] = mistake.slice(origin.length + 1).split(':', 2);
  // A plan has at most 1 MiB, and so has a line of it.
  return Number(line) * 2 ** 21 + Number(column);
}

/** `plan.yaml:3:5` */
export function where(origin: string, { line, column }: Position): string {
  return `${origin}:${line}:${column}`;
}
