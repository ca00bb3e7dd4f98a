import type { SourceAddress } from '../../config/source.ts';
import type { Environment } from '../../core/context.ts';

/** The region of an ARN, else the one that the environment names; undefined leaves it to the SDK (a profile's). */
export function regionOf(address: SourceAddress, environment: Environment): string | undefined {
  const [, inArn] = /^arn:[a-z-]+:secretsmanager:([a-z0-9-]+):/.exec(address.path) ?? [];
  return inArn ?? (environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || undefined);
}
