import { formatDuration } from '../core/duration.ts';
import { exitStatus } from '../core/exit-status.ts';
import type { Fields } from '../core/log.ts';
import { type DeadlinePassed, done, failed, type Outcome } from '../core/outcome.ts';
import type { Answer } from './attempt.ts';
import { pauseWords } from './pause.ts';
import { stagesReached, type StagesReached } from './stage.ts';
import type { TargetState } from './target-state.ts';

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
  /** Its attempts were used up: waiting longer might have helped. */
  readonly gaveUp: boolean;
  /** How far it came; undefined where its target names no stages. */
  readonly stages: StagesReached | undefined;
}

/** What a wait found. */
export interface WaitReport {
  readonly result: 'satisfied' | 'never' | 'deadline';
  readonly targets: readonly TargetReport[];
  /** Milliseconds that the wait took. */
  readonly waited: number;
  /** Why time ran out, where it did. */
  readonly deadline?: DeadlinePassed;
}

export function reportOf(watch: TargetState, now: number): TargetReport {
  const { answer } = watch;
  return {
    name: watch.target.name,
    state: watch.state,
    words: wordsOf(watch),
    hint: hintOf(watch, now),
    attempts: watch.attempts,
    held: now - watch.since,
    status: watch.gaveUp ? exitStatus.deadline : answer?.state === 'never' ? answer.status : undefined,
    gaveUp: watch.gaveUp,
    stages: stagesOf(watch),
  };
}

/** Of what is satisfied, all; of what has not answered yet, those of the oldest attempt. */
function stagesOf(watch: TargetState): StagesReached | undefined {
  const { stages } = watch.target;
  if (stages === undefined) return undefined;
  if (watch.state === 'satisfied') return { passed: stages, at: undefined };
  return stagesReached(
    stages,
    (watch.answer === undefined ? watch.oldest()?.passed : watch.passed) ?? new Set(),
  );
}

function hintOf({ answer, state, quietAsked, quietUntil }: TargetState, now: number): string | undefined {
  if (answer === undefined || answer.state === 'satisfied') return undefined;
  if (state === 'waiting' && quietAsked && quietUntil > now) {
    return `the pause that it asked for ends ${formatDuration(quietUntil - now)} later, and it was not asked before that: a longer --timeout waits for it`;
  }
  return answer.hint;
}

function wordsOf(watch: TargetState): string {
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

/** `db:5432 connection refused (10.0.0.4) for 42s, 118 attempts, stage tcp (passed dns)` */
export function describeTarget(report: TargetReport): string {
  const attempts = `${report.attempts} attempt${report.attempts === 1 ? '' : 's'}`;
  return `${report.name} ${report.words} for ${formatDuration(report.held)}, ${attempts}${stageWords(report)}`;
}

function stageWords({ stages }: TargetReport): string {
  if (stages?.at === undefined) return '';
  return `, stage ${stages.at}${stages.passed.length === 0 ? '' : ` (passed ${stages.passed.join(', ')})`}`;
}

/** The same for readers of the JSON log. */
export function targetFields({ name, state, words: said, attempts, held, stages }: TargetReport): Fields {
  return {
    name,
    state: state === 'satisfied' ? 'ready' : state === 'never' ? 'failed' : 'waiting',
    said,
    attempts,
    ms: Math.round(held),
    ...(stages === undefined ? {} : { passed: stages.passed, stage: stages.at }),
  };
}

/** One line of progress: `1/2 ready; db:5432 connection refused (10.0.0.4) for 42s, 118 attempts`. */
export function describeProgress(watches: readonly TargetState[], now: number): string {
  const open = watches.filter((watch) => watch.state !== 'satisfied');
  const parts = open.slice(0, named).map((watch) => describeTarget(reportOf(watch, now)));
  if (open.length > named) parts.push(`and ${open.length - named} more`);
  return [`${watches.length - open.length}/${watches.length} ready`, ...parts].join('; ');
}

/** Details kept for the termination message; the log has all of them at debug level. */
const detailed = 10;

/** Turns a wait's report into what people are told and the exit status. */
export function waitOutcome(report: WaitReport): Outcome {
  const waited = formatDuration(report.waited);
  if (report.result === 'satisfied') {
    const ready = report.targets.filter(({ state }) => state === 'satisfied');
    return done(`${listed(ready.map((target) => `${target.name} ${target.words}`))} after ${waited}`);
  }
  const guilty = report.targets.filter(
    ({ state }) => state === (report.result === 'never' ? 'never' : 'waiting'),
  );
  const what =
    report.result === 'never'
      ? `${listed(guilty.map((target) => `${target.name} ${target.words}`))}; ${whyOver(guilty)}`
      : `${report.deadline?.message ?? `gave up after ${waited}`}: ${headline(report.targets, guilty)}`;
  return failed(statusOf(guilty), what, {
    details: [
      ...guilty.slice(0, detailed).map(describeTarget),
      ...(guilty.length > detailed ? [`and ${guilty.length - detailed} more`] : []),
    ],
    hint: hints(guilty),
  });
}

function statusOf(guilty: readonly TargetReport[]): number {
  const decided = guilty.find(({ status, gaveUp }) => status !== undefined && !gaveUp);
  return decided?.status ?? exitStatus.deadline;
}

/** Of several, what no attempt would change is the stronger reason. */
function whyOver(guilty: readonly TargetReport[]): string {
  return guilty.every(({ gaveUp }) => gaveUp)
    ? `gave up after ${guilty[0]?.attempts} attempt${guilty[0]?.attempts === 1 ? '' : 's'} (--max-attempts)`
    : 'waiting will not change that';
}

function headline(all: readonly TargetReport[], guilty: readonly TargetReport[]): string {
  const first = guilty[0];
  if (all.length === 1 && first) return `${first.name} ${first.words}`;
  return `${guilty.length} of ${all.length} not ready`;
}

function listed(words: readonly string[]): string {
  if (words.length <= 4) return words.join('; ');
  return `${words.slice(0, 3).join('; ')}; and ${words.length - 3} more`;
}

/** Each piece of advice once: many targets often fail for one reason. */
function hints(targets: readonly TargetReport[]): readonly string[] {
  return [...new Set(targets.map(({ hint }) => hint).filter((hint) => hint !== undefined))].slice(0, 3);
}
