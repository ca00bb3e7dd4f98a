import { flag } from '../../core/options/option.ts';

export const runOptions = {
  'keep-going': flag({ description: 'after a failure, go on with the steps that do not need what failed' }),
  'dry-run': flag({ description: 'check the plan, print its graph as JSON, and do nothing' }),
};
