import { formatDuration } from '../../core/duration.ts';
import type { Log } from '../../core/log.ts';
import { depths } from './graph.ts';
import type { Plan } from './plan.ts';
import type { Step } from './step.ts';

/** The plan as a graph, for programs; `stage` 0 starts at once. */
export function graphOf(plan: Plan, keepGoing: boolean): object {
  const stages = depths(plan.steps);
  return {
    keepGoing,
    steps: plan.steps.map((step) => ({
      name: step.name,
      ...(step.work.kind === 'own' ? { uses: step.work.command.name } : { command: step.work.written }),
      needs: step.needs.map(({ name }) => name),
      stage: stages.get(step.name),
      timeoutSeconds: step.limit === 0 ? null : step.limit / 1000,
      retries: step.retries,
      ...(step.retryPause === undefined ? {} : { pauseSeconds: step.retryPause / 1000 }),
      ...(step.tryLimit === 0 ? {} : { tryTimeoutSeconds: step.tryLimit / 1000 }),
      ...(step.when === undefined ? {} : { when: step.when.written }),
      ...(step.when?.leftOut === undefined ? {} : { leftOut: step.when.leftOut }),
      ...(step.user === undefined ? {} : { user: step.user }),
      process: step.work.kind === 'any' || step.user !== undefined ? 'child' : 'shared',
    })),
  };
}

/** Draws the graph for people, stage by stage. */
export function logGraph(plan: Plan, log: Log): void {
  const stages = depths(plan.steps);
  const last = Math.max(...stages.values());
  for (let stage = 0; stage <= last; stage += 1) {
    const steps = plan.steps.filter(({ name }) => stages.get(name) === stage);
    for (const [index, step] of steps.entries()) {
      const mark = steps.length === 1 ? '──' : index === 0 ? '┬─' : index === steps.length - 1 ? '└─' : '├─';
      const label = index === 0 ? `${stage + 1}`.padStart(3) : '   ';
      log.info(`${label} ${mark} ${step.name}${aboutOf(step)}`);
    }
  }
}

function aboutOf({ work, needs, when, user, retries, retryPause, tryLimit, limit }: Step): string {
  const words = [
    work.kind === 'own' ? work.command.name : `runs ${work.written[0]}`,
    needs.length > 0 && `after ${needs.map(({ name }) => name).join(', ')}`,
    when !== undefined && `when ${when.words}`,
    user !== undefined && `as user ${user.uid}`,
    retries > 0 &&
      `${retries} retries${retryPause === undefined ? '' : ` after ${formatDuration(retryPause)}`}`,
    tryLimit > 0 && `each try at most ${formatDuration(tryLimit)}`,
    limit > 0 && `at most ${formatDuration(limit)}`,
    when?.leftOut !== undefined && `left out here: ${when.leftOut}`,
  ];
  return `: ${words.filter((word) => word !== false).join(', ')}`;
}
