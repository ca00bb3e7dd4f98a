import { join } from 'node:path';

import type { Output } from '../../config/outputs.ts';
import { isBodySource, type SourceAddress } from '../../config/source.ts';
import type { FetchJob } from './job.ts';

/** One body of http, https or S3 that goes into one file as it is. */
export interface Plain {
  readonly address: SourceAddress;
  readonly output: Output;
  readonly path: string;
}

/** Undefined where a job is anything else. */
export function plainOf({ addresses, outputs, inputs }: FetchJob): Plain | undefined {
  const [address, another] = addresses;
  const [output, more] = outputs;
  if (address === undefined || another !== undefined || output?.name === undefined || more !== undefined)
    return undefined;
  // What is absent has no body.
  if (address.optional) return undefined;
  if (!isBodySource(address) || address.field !== undefined || output.format !== 'raw') return undefined;
  if (inputs.get(output)?.parts.some(({ keys }) => keys !== undefined) === true) return undefined;
  return { address, output, path: join(output.folder, output.name) };
}
