import { SaidText } from '../../core/said-text.ts';
import { shownErrorName } from './faults.ts';
import { signedHeaders, type Keys } from './signature.ts';

export interface SignedRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * STS's GetCallerIdentity. It needs no permission. The SDK's client for it would weigh as much as the one for secrets.
 * @param url of STS
 */
export async function callerRequest(keys: Keys, region: string, url: URL, now: Date): Promise<SignedRequest> {
  const body = 'Action=GetCallerIdentity&Version=2011-06-15';
  const type = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  const asked = { method: 'POST', url, headers: type, body } as const;
  return { url, body, headers: await signedHeaders(asked, keys, { service: 'sts', region }, now) };
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
