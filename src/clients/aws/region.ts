import type { SourceAddress } from '../../config/source.ts';
import type { Environment } from '../../core/context.ts';

/** The region that an address names by ARN or option, else the one that the environment names; undefined leaves it to the SDK (a profile's). */
export function regionOf(address: SourceAddress, environment: Environment): string | undefined {
  const [, inArn] = /^arn:[a-z-]+:(?:secretsmanager|ssm):([a-z0-9-]+):/.exec(address.path) ?? [];
  return (
    inArn ??
    address.options.get('region') ??
    (environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || undefined)
  );
}
