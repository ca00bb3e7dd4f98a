import { defineCommand, each } from '../../core/command.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { runOptions } from './options.ts';
import { runPlan } from './run.ts';

const positionals = {
  usage: '[PLAN]',
  name: 'plan',
  description:
    'a YAML or JSON file; - for standard input; without it INITBOX_PLAN, which holds a plan or the path of one',
  parse: each('plan', parsePath, { min: 0, max: 1, example: 'initbox run /etc/initbox/plan.yaml' }),
};

export const run = defineCommand({
  name: 'run',
  summary: 'run a pod’s whole init phase in one container',
  description: `Runs the steps of a plan, each a command of initbox or any other, in parallel where they do not need each other. The first failure stops the rest, and the termination message names the step. A timeline at the end shows where the time went.

A plan is checked as a whole before anything is done; initbox schema plan prints its JSON Schema.`,
  examples: [
    'initbox run /etc/initbox/plan.yaml -- ./server',
    'initbox run /etc/initbox/plan.yaml --dry-run',
    'initbox run - --keep-going',
  ],
  positionals,
  options: runOptions,
  afterDashes: 'successor',
  timeout: undefined,
  step: false,
  schemas: { plan: async (commands) => (await import('./schema.ts')).planSchema(commands) },
  run: runPlan,
});

function parsePath(text: string): string {
  if (text === '') throw new Error('the path of the plan is empty');
  // Here - is standard input.
  if (text !== '-') refuseUnexpanded('path', text, 'the path of the plan');
  return text;
}
