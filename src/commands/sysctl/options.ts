import { flag } from '../../core/options/option.ts';

export const sysctlOptions = {
  check: flag({
    description:
      'change nothing; exit 1 where something differs, and say what to run on the node, for clusters that refuse privileged containers',
  }),
  'if-exists': flag({ description: 'leave out a setting that this kernel does not have' }),
  'dry-run': flag({ description: 'change nothing; print what would change, as JSON' }),
};
