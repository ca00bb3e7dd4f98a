import { existsSync } from 'node:fs';

import type { SourceAddress } from '../../config/source.ts';
import type { Environment } from '../../core/context.ts';
import { quotedValue, secretAsPath, shownPath } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { refuseUnsendable } from '../../core/sendable.ts';
import { refuseUnexpanded, refuseUnexpandedVariables } from '../../core/template-variables.ts';
import { isWebUrl } from '../../core/web-url.ts';
import { readInput, whyUnread } from '../../fs/input-file.ts';
import { regionOf } from './region.ts';
import { hideSecrets, mayHaveProfiles, sharedSettings, withoutComment } from './shared-files.ts';

/** Of a file that is read here, in bytes. */
const largest = 1 << 20;

const endpoints = [
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
  'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  'AWS_ENDPOINT_URL_SSM',
  'AWS_ENDPOINT_URL_STS',
];

const tokenFiles = ['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', 'AWS_WEB_IDENTITY_TOKEN_FILE'];

const keys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];

/**
 * The keys without the blanks and line ends around them, as a Secret that was made with `echo` has them: the SDK would sign with
 * them, or put them into a header.
 */
export function trimmedKeys(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    keys.flatMap((name) => {
      const text = environment[name];
      return text === undefined || text === text.trim() ? [] : [[name, text.trim()]];
    }),
  );
}

/**
 * Looks at the variables that the SDK reads by itself, while a mistake in one can still be told as one.
 * @throws UsageError naming the variable
 */
export function checkVariables(
  addresses: readonly SourceAddress[],
  environment: Environment,
  redactor: Redactor,
): void {
  hideSecrets(environment, redactor);
  checkAwsVariables(addresses, environment);
  checkFiles(environment);
}

/**
 * Looks at what the variables say by themselves: no file is read.
 * @throws UsageError naming the variable
 */
export function checkAwsVariables(addresses: readonly SourceAddress[], environment: Environment): void {
  refuseUnexpandedVariables(
    {
      AWS_REGION: 'word',
      AWS_DEFAULT_REGION: 'word',
      AWS_PROFILE: 'name',
      AWS_CONFIG_FILE: 'path',
      AWS_SHARED_CREDENTIALS_FILE: 'path',
      AWS_CA_BUNDLE: 'path',
      AWS_ENDPOINT_URL: 'url',
      AWS_ENDPOINT_URL_S3: 'url',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: 'url',
      AWS_ENDPOINT_URL_SSM: 'url',
      AWS_ENDPOINT_URL_STS: 'url',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: 'url',
      AWS_ROLE_ARN: 'word',
      AWS_ROLE_SESSION_NAME: 'name',
      AWS_WEB_IDENTITY_TOKEN_FILE: 'path',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'url',
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: 'name',
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'token',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: 'path',
      AWS_ACCESS_KEY_ID: 'token',
      AWS_SECRET_ACCESS_KEY: 'token',
      AWS_SESSION_TOKEN: 'token',
    },
    environment,
  );
  for (const name of ['AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AWS_ACCESS_KEY_ID', 'AWS_SESSION_TOKEN'])
    refuseUnsendable(environment[name] ?? '', name);
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) {
    const region = environment[name];
    if (region && !/^[a-z0-9-]+$/.test(region))
      throw new UsageError(`${name} is ${quotedValue(region)}, not a region such as eu-central-1`);
  }
  // To the AWS CLI an empty one is not set; to the SDK it is a region, which no server has.
  if (
    environment['AWS_REGION'] === '' &&
    addresses.some((address) => regionOf(address, environment) === undefined)
  )
    throw new UsageError('AWS_REGION is empty; set it to a region such as eu-central-1, or leave it out');
  // https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html: the SDK throws at another word.
  for (const name of ['AWS_USE_FIPS_ENDPOINT', 'AWS_USE_DUALSTACK_ENDPOINT']) {
    const said = environment[name];
    if (said !== undefined && said !== 'true' && said !== 'false')
      throw new UsageError(`${name} is ${quotedValue(said)}; write true or false, or leave it out`);
  }
  for (const name of endpoints) checkEndpoint(name, environment[name] ?? '');
  checkEndpoint(
    'AWS_CONTAINER_CREDENTIALS_FULL_URI',
    environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '',
  );
  if (
    addresses.some((address) => regionOf(address, environment) === undefined) &&
    !mayHaveProfiles(environment)
  )
    throw new UsageError('no region is named; set AWS_REGION, or give the ARN of the secret or parameter');
}

/** @throws UsageError naming the variable whose file is wrong */
function checkFiles(environment: Environment): void {
  for (const name of [...tokenFiles, 'AWS_SHARED_CREDENTIALS_FILE']) {
    const path = environment[name] ?? '';
    const instead = existsSync(path) ? undefined : secretAsPath(path);
    if (instead !== undefined) throw new UsageError(`${name}: ${instead}`);
  }
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'AWS_CA_BUNDLE'])
    contentOf(name, environment);
  for (const name of tokenFiles) {
    const token = contentOf(name, environment).trim();
    refuseUnexpanded('token', token, `the token in the file that ${name} names`);
    refuseUnsendable(token, `the token in the file that ${name} names`);
  }
  for (const { file, section, key, value } of sharedSettings(environment))
    if (key === 'endpoint_url') checkEndpoint(`${file}: endpoint_url in [${section}]`, withoutComment(value));
}

/** @throws UsageError that names it, and shows nothing of it: it may hold a password */
function checkEndpoint(name: string, endpoint: string): void {
  if (endpoint === '') return;
  if (!isWebUrl(endpoint))
    throw new UsageError(`${name} is not an http or https URL; write https://HOST:PORT`);
  const { username, password } = new URL(endpoint);
  if (username !== '' || password !== '')
    throw new UsageError(
      `${name} has a user or password in it, which AWS does not take; write https://HOST:PORT`,
    );
}

/**
 * Nothing where the system refuses it: the SDK says so, or does without it. The SDK itself would wait for a pipe, and
 * follow any link.
 * @throws UsageError naming the variable
 */
function contentOf(name: string, environment: Environment): string {
  const path = environment[name];
  // Said so by who wants none.
  if (!path || path === '/dev/null') return '';
  try {
    return readInput(path, largest).toString();
  } catch (error) {
    if ('code' in (error as Error)) return '';
    throw new UsageError(`${name}: the file ${shownPath(path)} ${whyUnread(error)}`, { cause: error });
  }
}
