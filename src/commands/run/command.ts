import { defineCommand, each } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { flag } from '../../core/options/option.ts';
import { done, type Outcome } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { outcomeOfPlan } from './outcome.ts';
import { performWithRetries, stepLog } from './perform.ts';
import { readPlan, type Plan } from './plan.ts';
import { runSteps } from './schedule.ts';
import { readPlanText } from './source.ts';
import { logTimeline } from './timeline.ts';

const positionals = {
  usage: '[PLAN]',
  name: 'plan',
  description:
    'a YAML or JSON file; - for standard input; without it INITBOX_PLAN, which holds a plan or the path of one',
  parse: each('plan', parsePath, { min: 0, max: 1, example: 'initbox run /etc/initbox/plan.yaml' }),
};

export const run = defineCommand({
  name: 'run',
  summary: 'do a pod’s whole init phase in one container',
  description: `Runs the steps of a plan, each a command of initbox or any other, in parallel where they do not need each other. The first failure stops the rest, and the last words name the step. A timeline at the end shows where the time went.

A plan is checked as a whole before anything is done; initbox schema plan prints its JSON Schema.`,
  examples: [
    'initbox run /etc/initbox/plan.yaml -- ./server',
    'initbox run /etc/initbox/plan.yaml --dry-run',
    'initbox run - --keep-going',
  ],
  positionals,
  options: {
    'keep-going': flag({ description: 'after a failure, go on with the steps that do not need what failed' }),
    'dry-run': flag({ description: 'check the plan, print its graph as JSON, and do nothing' }),
  },
  afterDashes: 'successor',
  timeout: undefined,
  step: false,
  schemas: { plan: async (commands) => (await import('./schema.ts')).planSchema(commands) },
  async run({ options, positionals: given, command: successor }, context) {
    // Of a plan that is only looked at, nobody says what would take over.
    const assumed = options['dry-run'] ? (successor ?? ['…']) : successor;
    const plan = await readPlan(await readPlanText(given?.[0], context), context, assumed);
    const keepGoing = options['keep-going'] || plan.keepGoing === true;
    if (options['dry-run']) {
      const { graphOf, logGraph } = await import('./dry-run.ts');
      logGraph(plan, context.log);
      context.stdout(`${JSON.stringify(graphOf(plan, keepGoing), null, 2)}\n`);
      const count = plan.steps.length === 1 ? 'one step is' : `${plan.steps.length} steps are`;
      return done(`dry run: the plan's ${count} right, and nothing was run`);
    }
    return carryOut(plan, keepGoing, successor, context);
  },
});

async function carryOut(
  plan: Plan,
  keepGoing: boolean,
  successor: readonly string[] | undefined,
  context: Context,
): Promise<Outcome> {
  const { clock, log } = context;
  // What steps set for a moment is not for others.
  const shared = { ...context, environment: { ...context.environment } };
  const began = clock.now();
  const ran = await runSteps(
    plan.steps,
    async (step, signal) => {
      const end = await performWithRetries(step, { ...shared, signal }, successor);
      const own = stepLog(log, step);
      if (end.outcome.kind === 'done') own.info(end.outcome.summary);
      else if (signal.aborted) own.info(`stopped: ${end.outcome.what}`);
      else own.error(end.outcome.what);
      return end;
    },
    keepGoing,
    shared,
  );
  const took = clock.now() - began;
  logTimeline(ran, took, log);
  return outcomeOfPlan(ran, took, context.signal, log);
}

function parsePath(text: string): string {
  if (text === '') throw new Error('the path of the plan is empty');
  refuseUnexpanded('path', text, 'the path of the plan');
  return text;
}
