import { duration } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';

/** What each target may say for itself, as a parameter, and the flags say for all. */
const { any, ...each } = waitOptions;
export const everyTargetOptions = {
  ...each,
  'attempt-timeout': duration({
    description:
      'how long one attempt may take; unset, 5s for what is asked something, and no limit for a connect; 0 disables it',
  }),
};

export const waitCommandOptions = { ...everyTargetOptions, any };
