import type { waitOptions } from '../core/options/shared-options.ts';
import type { Values } from '../core/options/option.ts';
import { inverted, type Target } from './attempt.ts';
import type { WaitPlan } from './loop.ts';
import { fixed, proportional } from './schedule.ts';

/** What the options of a waiting command ask of the loop. */
export function waitPlanOf(
  options: Values<typeof waitOptions>,
  targets: readonly Target[],
): { readonly targets: readonly Target[]; readonly plan: WaitPlan } {
  return {
    targets: options.invert ? targets.map(inverted) : targets,
    plan: {
      schedule: options.interval === undefined ? proportional(targets.length) : fixed(options.interval),
      policy: { any: options.any, successes: options.successes, stableFor: options['stable-for'] },
    },
  };
}
