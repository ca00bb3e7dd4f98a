import type { Values } from '../core/options/option.ts';
import type { waitOptions } from '../core/options/shared-options.ts';
import type { WaitPlan } from './loop.ts';
import { fixed, proportional } from './schedule.ts';

/** What the options of a waiting command ask of the loop, for so many targets. */
export function waitPlanOf(
  options: Values<typeof waitOptions> & {
    readonly 'max-attempts'?: number | undefined;
    readonly 'initial-delay'?: number | undefined;
  },
  targets: number,
): WaitPlan {
  return {
    schedule: options.interval === undefined ? proportional(targets) : fixed(options.interval),
    policy: { any: options.any, successes: options.successes, stableFor: options['stable-for'] },
    inverted: options.invert,
    maxAttempts: options['max-attempts'],
    initialDelay: options['initial-delay'],
    block: true,
  };
}
