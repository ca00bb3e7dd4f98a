import { formatDuration } from '../../core/duration.ts';
import type { Log } from '../../core/log.ts';
import type { Ran } from './schedule.ts';

/** Columns of the picture of when each step ran. */
const barWidth = 24;

/** Logs each step's start, length and result, and the chain of steps that the whole had to wait for. */
export function logTimeline(ran: readonly Ran[], took: number, log: Log): void {
  const rows = ran.map((one) => [one.step.name, startOf(one), lengthOf(one), resultOf(one), bar(one, took)]);
  const head = ['step', 'start', 'took', 'result', ''];
  const widths = head.map((word, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? '').length), word.length),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  log.info(line(head));
  for (const [index, one] of ran.entries()) {
    log.info(line(rows[index] ?? []), {
      step_name: one.step.name,
      result: one.state,
      start_ms: rounded(one.start),
      took_ms: rounded(one.start === undefined || one.end === undefined ? undefined : one.end - one.start),
      tries: one.tries,
      left_out: one.leftOut,
    });
  }
  const chain = longestChain(ran);
  if (chain.length > 0)
    log.info(
      `${formatDuration(took)} in all; the time went to ${chain.map((one) => `${one.step.name} ${lengthOf(one)}`).join(' → ')}`,
    );
}

function rounded(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.round(milliseconds);
}

function startOf({ start }: Ran): string {
  return start === undefined ? '-' : formatDuration(start);
}

function lengthOf({ start, end }: Ran): string {
  return start === undefined || end === undefined ? '-' : formatDuration(end - start);
}

function resultOf({ state, tries, outcome, leftOut }: Ran): string {
  if (state === 'left out') return `left out: ${leftOut}`;
  const words = outcome?.kind === 'failed' && state === 'failed' ? `${state} (${outcome.status})` : state;
  return tries > 1 ? `${words}, ${tries} tries` : words;
}

function bar({ start, end }: Ran, took: number): string {
  if (start === undefined || end === undefined) return '';
  const scale = barWidth / Math.max(took, 1);
  const from = Math.min(barWidth - 1, Math.floor(start * scale));
  const to = Math.max(from + 1, Math.min(barWidth, Math.round(end * scale)));
  return `${'·'.repeat(from)}${'█'.repeat(to - from)}${'·'.repeat(barWidth - to)}`;
}

/** From the step that ended last back through what each waited for longest: where the time went. */
export function longestChain(ran: readonly Ran[]): Ran[] {
  const byName = new Map(ran.map((one) => [one.step.name, one]));
  const chain: Ran[] = [];
  let next = latest(ran);
  while (next !== undefined) {
    chain.unshift(next);
    next = latest(next.step.needs.map(({ name }) => byName.get(name) as Ran));
  }
  return chain;
}

function latest(ran: readonly Ran[]): Ran | undefined {
  return ran
    .filter(({ end }) => end !== undefined)
    .reduce<Ran | undefined>(
      (last, one) => (last === undefined || (one.end ?? 0) > (last.end ?? 0) ? one : last),
      undefined,
    );
}
