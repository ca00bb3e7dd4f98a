import { flag } from '../../core/options/option.ts';

export const filesOptions = {
  'if-exists': flag({ description: 'leave out a move or mode whose path does not exist' }),
  'dry-run': flag({ description: 'change nothing; print what would change, as JSON' }),
};
