import { waitOptions } from '../../core/options/shared-options.ts';

export const waitTcpOptions = waitOptions;
