import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { done, UsageError, type Outcome } from '../../core/outcome.ts';
import type { runOptions } from './options.ts';
import { outcomeOfPlan, takeBackAll } from './outcome.ts';
import { performWithRetries, stepLog } from './perform-step.ts';
import { readPlan, type Plan } from './plan.ts';
import { runSteps } from './schedule.ts';
import { readPlanText } from './source.ts';
import { logTimeline } from './timeline.ts';

/** Reads the plan and runs its steps, or only says what it is. */
export async function runPlan(
  { options, positionals: given, command: successor }: Input<typeof runOptions, readonly string[]>,
  context: Context,
): Promise<Outcome> {
  // Of a plan that is only looked at, nobody says what would take over.
  const looked = options['dry-run'] || options['print-role'];
  const assumed = looked ? (successor ?? ['…']) : successor;
  const plan = await readPlan(await readPlanText(given?.[0], context), context, assumed);
  if (options['dry-run'] && options['print-role'])
    throw new UsageError('--dry-run and --print-role cannot be combined: each prints something of its own');
  const keepGoing = options['keep-going'] || plan.keepGoing === true;
  if (options['dry-run']) {
    const { graphOf, logGraph } = await import('./dry-run.ts');
    logGraph(plan, context.log);
    context.stdout(`${JSON.stringify(graphOf(plan, keepGoing), null, 2)}\n`);
    const count = plan.steps.length === 1 ? 'one step is' : `${plan.steps.length} steps are`;
    return done(`dry run: the plan's ${count} right, and nothing was run`);
  }
  if (options['print-role'])
    return (await import('./print-role.ts')).printRolesOfPlan(plan, options.account, context);
  return carryOut(plan, keepGoing, successor, context);
}

async function carryOut(
  plan: Plan,
  keepGoing: boolean,
  successor: readonly string[] | undefined,
  context: Context,
): Promise<Outcome> {
  const { clock, log } = context;
  // What steps set for a moment is not for others.
  // Lines of several steps mix, and a command of a step may write to the terminal itself.
  const shared = { ...context, environment: { ...context.environment }, terminal: undefined };
  for (const step of plan.steps)
    if (step.when?.leftOut !== undefined) stepLog(log, step).info(`left out: ${step.when.leftOut}`);
  const began = clock.now();
  const ran = await runSteps(
    plan.steps,
    async (step, signal) => {
      const end = await performWithRetries(step, { ...shared, signal }, successor);
      const own = stepLog(log, step);
      if (end.leftOut !== undefined) own.info(`left out: ${end.leftOut}`);
      else if (end.outcome.kind === 'done') own.info(end.outcome.summary);
      else if (signal.aborted) own.info(`stopped: ${end.outcome.what}`);
      else own.error(end.outcome.what);
      return end;
    },
    keepGoing,
    shared,
  );
  const took = clock.now() - began;
  logTimeline(ran, took, log);
  const outcome = outcomeOfPlan(ran, took, context.signal, log);
  if (outcome.kind === 'failed') await takeBackAll(ran, context.signal);
  return outcome;
}
