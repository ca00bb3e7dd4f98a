import { createHash, createHmac } from 'node:crypto';

import type { Environment } from '../../core/context.ts';
import { SaidText } from '../../core/said-text.ts';
import { shownErrorName } from './faults.ts';

/** Keys that sign requests. */
export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SignedRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * STS's GetCallerIdentity, signed by AWS Signature Version 4
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). It needs no permission.
 * The SDK's client for it would weigh as much as the one for secrets.
 */
export function callerRequest(keys: Keys, region: string, url: URL, now: Date): SignedRequest {
  const body = 'Action=GetCallerIdentity&Version=2011-06-15';
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const day = time.slice(0, 8);
  const signed: Record<string, string> = {
    'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    host: url.host,
    'x-amz-date': time,
    ...(keys.sessionToken ? { 'x-amz-security-token': keys.sessionToken } : {}),
  };
  const names = Object.keys(signed).toSorted();
  const canonical = [
    'POST',
    url.pathname,
    '',
    ...names.map((name) => `${name}:${signed[name]}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n');
  const scope = `${day}/${region}/sts/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = [day, region, 'sts', 'aws4_request'].reduce<Buffer>(
    (previous, part) => hmac(previous, part),
    Buffer.from(`AWS4${keys.secretAccessKey}`),
  );
  const signature = hmac(key, toSign).toString('hex');
  return {
    url,
    body,
    headers: {
      ...signed,
      authorization: `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
    },
  };
}

/**
 * Where STS answers, beside Secrets Manager in the same region: the SDK knows the domains of all partitions, and which variables
 * and profiles ask for FIPS. In GovCloud the usual endpoint of STS is the one with FIPS
 * (https://docs.aws.amazon.com/general/latest/gr/sts.html).
 */
export function callerEndpoint(secretsManager: URL, environment: Environment): URL {
  const named = environment['AWS_ENDPOINT_URL_STS'] || environment['AWS_ENDPOINT_URL'];
  if (named) return new URL(named);
  const host = secretsManager.hostname.replace(/^secretsmanager\b/, 'sts');
  return new URL(`https://${host.replace(/^sts-fips\.(us-gov-)/, 'sts.$1')}/`);
}

/** The ARN in the reply; undefined where there is none. */
export function callerArn(body: string): string | undefined {
  return /<Arn>(arn:[\w:/+=,.@-]+)<\/Arn>/.exec(body)?.[1];
}

/** Why STS did not say it: its code and words; undefined where it will answer later. */
export function callerRefusal(
  status: number,
  body: string,
  redact: (text: string) => string,
): string | undefined {
  const code = /<Code>([^<]+)<\/Code>/.exec(body)?.[1] ?? '';
  if (status >= 500 || status === 429 || /Throttl|RequestLimit|SlowDown/i.test(code)) return undefined;
  // Redacted as it came: where a `<` of a secret stands in it, only its beginning would be left of that.
  const whole = SaidText.shown([new SaidText(body)], Number.POSITIVE_INFINITY, redact);
  const words = /<Message>([^<]{1,1000})/.exec(whole)?.[1] ?? '';
  return [`STS answered ${status}`, shownErrorName(code), words].filter(Boolean).join(': ');
}

/**
 * True where the ARN of a session or a user is of that role.
 * @param expected a role's name, or its ARN with or without its path
 */
export function isRole(arn: string, expected: string): boolean {
  const [, account, role] =
    /^arn:[a-z-]+:(?:sts|iam)::(\d{12}):(?:assumed-role|role)\/(?:.*\/)?([^/]+?)(?:\/[^/]*)?$/.exec(
      assumed(arn),
    ) ?? [];
  if (!expected.startsWith('arn:')) return role === expected;
  const [, wantedAccount, wantedRole] =
    /^arn:[a-z-]+:iam::(\d{12}):role\/(?:.*\/)?([^/]+)$/.exec(expected) ?? [];
  return role !== undefined && role === wantedRole && account === wantedAccount;
}

/** `assumed-role/ROLE/SESSION` without its session, so that both kinds of ARN end with the role. */
function assumed(arn: string): string {
  return arn.replace(/(:assumed-role\/[^/]+)\/.*$/, '$1');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
