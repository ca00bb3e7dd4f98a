import { roleOptions } from '../../clients/kubernetes/role-options.ts';
import { duration, flag, integer, value } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';

/** What each target may say for itself, as a parameter, and the flags say for all. */
const { any, ...each } = waitOptions;
export const everyTargetOptions = {
  ...each,
  'attempt-timeout': duration({
    description:
      'how long one attempt may take; unset, 5s for what is asked something, and no limit for a connect; 0 disables it',
  }),
  'max-attempts': value({
    description:
      'how many attempts are made at most, before it gives up with 124; unset, as many as there is time for',
    placeholder: 'COUNT',
    parse: integer({ min: 1, max: 1_000_000_000 }),
  }),
  'initial-delay': duration({ description: 'how long to wait before the first attempt' }),
};

export const waitCommandOptions = {
  ...everyTargetOptions,
  any,
  validate: flag({ description: 'print what would be waited for, as JSON, and wait for nothing' }),
  ...roleOptions,
};
