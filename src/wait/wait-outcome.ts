import { formatDuration } from '../core/duration.ts';
import type { Answer } from './attempt.ts';
import { pauseWords } from './pause.ts';
import type { Watch } from './target-state.ts';

/** Targets named one by one in a line; the rest are counted. */
const named = 4;

/** What is known of one target when the wait ends, or while it lasts. Times are in milliseconds. */
export interface TargetReport {
  readonly name: string;
  readonly state: 'waiting' | 'satisfied' | 'never';
  /** What was seen, or why not, after the name. */
  readonly words: string;
  readonly hint: string | undefined;
  readonly attempts: number;
  /** How long the words have held. */
  readonly held: number;
  /** The exit status that a "never" asks for. */
  readonly status: number | undefined;
}

export function reportOf(watch: Watch, now: number): TargetReport {
  const { answer } = watch;
  return {
    name: watch.target.name,
    state: watch.state,
    words: wordsOf(watch),
    hint: hintOf(watch, now),
    attempts: watch.attempts,
    held: now - watch.since,
    status: answer?.state === 'never' ? answer.status : undefined,
  };
}

function hintOf({ answer, state, quietAsked, quietUntil }: Watch, now: number): string | undefined {
  if (answer === undefined || answer.state === 'satisfied') return undefined;
  if (state === 'waiting' && quietAsked && quietUntil > now) {
    return `the pause that it asked for ends ${formatDuration(quietUntil - now)} later, and it was not asked before that: a longer --timeout waits for it`;
  }
  return answer.hint;
}

function wordsOf(watch: Watch): string {
  const { answer } = watch;
  if (watch.attempts === 0) return 'not tried yet';
  if (answer === undefined) {
    const phase = watch.oldest()?.phase;
    return phase ? `${phase}: no answer yet` : 'no answer yet';
  }
  if (answer.state !== 'satisfied') return saidIn(answer);
  if (watch.state === 'satisfied') return answer.seen;
  return `${answer.seen}, not yet for long enough (${watch.streak} in a row)`;
}

/** What an answer says, with the pause that it asks for. */
export function saidIn(answer: Answer): string {
  if (answer.state === 'satisfied') return answer.seen;
  const busy = answer.state === 'not-yet' ? answer.busy : undefined;
  return `${answer.reason}${busy === undefined ? '' : pauseWords(busy)}`;
}

/** `db:5432 connection refused (10.0.0.4) for 42s, 118 attempts` */
export function describeTarget(report: TargetReport): string {
  const attempts = `${report.attempts} attempt${report.attempts === 1 ? '' : 's'}`;
  return `${report.name} ${report.words} for ${formatDuration(report.held)}, ${attempts}`;
}

/** One line of progress: `1/2 ready; db:5432 connection refused (10.0.0.4) for 42s, 118 attempts`. */
export function describeProgress(watches: readonly Watch[], now: number): string {
  const open = watches.filter((watch) => watch.state !== 'satisfied');
  const parts = open.slice(0, named).map((watch) => describeTarget(reportOf(watch, now)));
  if (open.length > named) parts.push(`and ${open.length - named} more`);
  return [`${watches.length - open.length}/${watches.length} ready`, ...parts].join('; ');
}
