import type { Environment } from '../../core/context.ts';

/** Services of AWS that are asked without the SDK's client for them, as their hosts and variables are named. */
const services = {
  sts: { host: 'sts', variable: 'AWS_ENDPOINT_URL_STS' },
  ssm: { host: 'ssm', variable: 'AWS_ENDPOINT_URL_SSM' },
  s3: { host: 's3', variable: 'AWS_ENDPOINT_URL_S3' },
} as const;
export type AskedService = keyof typeof services;

/** The endpoint that a variable names for a service; undefined where it is AWS's own. */
export function namedEndpoint(service: AskedService, environment: Environment): URL | undefined {
  const named = environment[services[service].variable] || environment['AWS_ENDPOINT_URL'];
  return named ? new URL(named) : undefined;
}

/**
 * Where a service answers, beside Secrets Manager in the same region: the SDK knows the domains of all partitions, and which
 * variables and profiles ask for FIPS. In GovCloud the usual endpoints of STS and SSM are those with FIPS
 * (https://docs.aws.amazon.com/general/latest/gr/sts.html, …/ssm.html).
 */
export function endpointBeside(secretsManager: URL, service: AskedService, environment: Environment): URL {
  const named = namedEndpoint(service, environment);
  if (named !== undefined) return named;
  const host = secretsManager.hostname.replace(/^secretsmanager\b/, service);
  return new URL(
    `https://${service === 's3' ? storeHost(host) : host.replace(/^(sts|ssm)-fips\.(us-gov-)/, '$1.$2')}/`,
  );
}

/** S3 has both kinds of addresses in the domain of the usual one (https://docs.aws.amazon.com/general/latest/gr/s3.html). */
function storeHost(host: string): string {
  return host
    .replace(/^(s3(?:-fips)?)\.(.+)\.api\.aws$/, '$1.dualstack.$2.amazonaws.com')
    .replace(/^(s3(?:-fips)?)\.(.+)\.api\.amazonwebservices\.com\.cn$/, '$1.dualstack.$2.amazonaws.com.cn');
}
