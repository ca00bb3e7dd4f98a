import { duration } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';

/** Also of the targets of wait that are ports. */
export const connectOptions = {
  hold: duration({
    description:
      'how long an accepted connection must stay open; unset, that it is accepted is enough, also by a proxy whose server is down',
  }),
};

export const waitTcpOptions = { ...connectOptions, ...waitOptions };
