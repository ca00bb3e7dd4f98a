import { flag } from '../../core/options/option.ts';

export const installOptions = {
  check: flag({ description: 'copy nothing; compare every byte and exit 1 where something differs' }),
};
