import { formatDuration } from '../core/duration.ts';
import { exitStatus } from '../core/exit-status.ts';
import { done, failed, type Outcome } from '../core/outcome.ts';
import type { WaitReport } from './loop.ts';
import { describeTarget, type TargetReport } from './wait-outcome.ts';

/** Details kept for the last words; the log has all of them at debug level. */
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
      ? `${listed(guilty.map((target) => `${target.name} ${target.words}`))}; waiting will not change that`
      : `${report.deadline?.message ?? `gave up after ${waited}`}: ${headline(report.targets, guilty)}`;
  return failed(guilty.find(({ status }) => status !== undefined)?.status ?? exitStatus.deadline, what, {
    details: [
      ...guilty.slice(0, detailed).map(describeTarget),
      ...(guilty.length > detailed ? [`and ${guilty.length - detailed} more`] : []),
    ],
    hint: hints(guilty),
  });
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
