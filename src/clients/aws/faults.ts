import { exitStatus } from '../../core/exit-status.ts';
import { SaidText } from '../../core/said-text.ts';
import { connectHint, connectWords } from '../../core/socket-errors.ts';
import { never, nonexistent, notYet, type Busy, type Never, type NotYet } from '../../wait/attempt.ts';

/** What the SDK throws, as far as it is looked at. */
export interface SdkError extends Error {
  readonly $fault?: 'client' | 'server';
  readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean };
  readonly $retryable?: { readonly throttling?: boolean };
  /** The answer itself, where there was one. */
  readonly $response?: {
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string>>;
  };
  readonly code?: string;
  readonly syscall?: string;
  readonly path?: string;
  readonly address?: string;
  readonly errors?: readonly SdkError[];
  /** From our own lookup: what was said of the name. */
  readonly answer?: NotYet;
}

/** A service that gives what sources name, as far as its failures tell of it. */
export interface AwsService {
  readonly title: string;
  /** Names of its errors that say that there is no such thing, or no such version of it. */
  readonly missing: ReadonlySet<string>;
  /** How to see what is there. */
  readonly list: (id: string, region: string) => string;
  /** The statement of a policy that allows to read it, and what else may forbid that. */
  readonly allow: (id: string, region: string) => string;
  /** Its own endpoint's. */
  readonly variable: string;
}

export interface AwsScene {
  /** What was being done: getting credentials, or reading something with them. */
  readonly doing: 'credentials' | AwsService;
  readonly id: string;
  readonly region: string;
  /** The provider and role that answered, for people: empty where none is known. */
  readonly caller: string;
  /** The version, stage or label that was asked for. */
  readonly version: string | undefined;
  readonly now: Date;
  readonly redact: (text: string) => string;
  /** What its connection failed with, where that is known in words. */
  readonly connection?: NotYet | Never | undefined;
  /** What the answer says about the next request. */
  readonly busy?: Busy | undefined;
}

/** Characters of AWS's own words that are shown: its longest sentences name a caller, an action and a resource. */
export const longestWords = 1000;

/** Names of the errors that throttling has (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html). */
const throttling: ReadonlySet<string> = new Set([
  'ThrottlingException',
  'Throttling',
  'ThrottledException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'LimitExceededException',
  'ProvisionedThroughputExceededException',
  'BandwidthLimitExceeded',
  'PriorRequestNotComplete',
  'EC2ThrottledException',
]);

/** True of `ThrottlingException: …`, as an error that another one was made of is told. */
export function isThrottling(message: string): boolean {
  return throttling.has(/^(\w+): /.exec(message)?.[1] ?? '');
}

/**
 * The name of an error, where it is one as AWS makes them. The SDK cuts the name out of the answer, at a colon or a comma
 * among others, and what a server put there may be a part of a secret, which nobody could find any more.
 */
export function shownErrorName(name: string, before = '', after = ''): string {
  return /^[A-Z][A-Za-z0-9]{2,80}(Exception|Error|Failure|Fault|Timeout|Denied|Expired|Token|TokenId|KeyId|Claim|DoesNotMatch|Incomplete|Parameter|Action|Signature|OptInRequired|ServiceUnavailable)$/.test(
    name,
  ) || throttling.has(name)
    ? `${before}${name}${after}`
    : '';
}

/** Why a secret was not given, and whether waiting may help. */
export function faultOf(error: SdkError, scene: AwsScene): NotYet | Never {
  const { id, region, caller } = scene;
  // Both may come from the answer, in which they may be anything.
  const said = shownIn(error.message, scene);
  const as = caller === '' ? '' : ` (as ${caller})`;
  const refused = (what: string, hint?: string): Never => never(exitStatus.refused, what, hint);
  const service = scene.doing === 'credentials' ? undefined : scene.doing;
  /** The line begins with what is talked about: the address of a secret, or `AWS`. */
  const byAws = service ? 'was refused: AWS ' : '';
  const throttled = service ? 'is throttled by AWS' : 'throttles requests';
  if (throttling.has(error.name) || error.$retryable?.throttling)
    return notYet(`${throttled}${shownErrorName(error.name, ' (', ')')}`, {
      busy: scene.busy ?? {},
    });
  // Its name does not count then: whatever is in between may have given it.
  const status = error.$metadata?.httpStatusCode ?? 0;
  if (status >= 500) return otherFault(error, said, scene);
  if (error.$metadata?.clockSkewCorrected)
    return notYet('refused the clock of this node; asking with the time of AWS');
  if (service?.missing.has(error.name) === true)
    return nonexistent(
      exitStatus.refused,
      scene.version === undefined
        ? `does not exist in ${region}${as}`
        : `has no version ${JSON.stringify(scene.version)} in ${region}${as}, or does not exist`,
      service.list(id, region),
    );
  switch (error.name) {
    case 'InvalidRequestException':
      return refused(
        `cannot be read: ${said}`,
        `if it is scheduled for deletion: aws secretsmanager restore-secret --secret-id ${id}`,
      );
    case 'InvalidParameterException':
    case 'ValidationException':
      return refused(
        service
          ? `could not be read, since AWS rejected the request: ${said}`
          : `rejected the request for credentials: ${said}`,
      );
    case 'DecryptionFailure':
    case 'InvalidKeyId':
    case 'KMSAccessDeniedException':
      return refused(
        `could not be decrypted${as}: ${said}`,
        'allow kms:Decrypt on its key to the role, in the policy of the role and in that of the key',
      );
    case 'AccessDeniedException':
    case 'AccessDenied':
      if (service === undefined) return refused(`the role was not granted: ${said}`, trustHint);
      return refused(`access is denied${as}: ${said}`, service.allow(id, region));
    case 'ExpiredTokenException':
    case 'ExpiredToken':
    case 'UnrecognizedClientException':
    case 'InvalidClientTokenId':
    case 'InvalidAccessKeyId':
      return refused(
        `${byAws}rejected the credentials${as}: ${said}`,
        'are the keys deactivated, expired, or of another partition?',
      );
    case 'InvalidIdentityToken':
    case 'InvalidIdentityTokenException':
    case 'IDPRejectedClaimException':
      return refused(
        `${byAws}rejected the service account's token: ${said}`,
        'is the cluster’s OIDC provider registered in IAM, and does the role trust this namespace and service account (sub) and the audience sts.amazonaws.com?',
      );
    case 'SignatureDoesNotMatch':
    case 'InvalidSignatureException':
    case 'RequestExpired':
    case 'RequestTimeTooSkewed':
      return refused(
        `${byAws}rejected the signature: ${said}`,
        `is the secret key right, and the clock? it says ${scene.now.toISOString()} here`,
      );
    default:
      return otherFault(error, said, scene);
  }
}

const trustHint =
  'does the role that the service account is annotated with exist, and does its trust policy allow sts:AssumeRoleWithWebIdentity to the cluster’s OIDC provider for this namespace and service account (sub) and the audience sts.amazonaws.com?';

/** An answer is larger than any that Secrets Manager gives; its words say by what. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge';
  /** The SDK adds words of its own to the message. */
  readonly words: string;

  constructor(words: string) {
    super(words);
    this.words = words;
  }
}

/** The SDK could not read an answer, and says so with the parser's words, which quote it. */
function isUnreadable(error: SdkError): boolean {
  return (
    error instanceof SyntaxError ||
    (error.$fault === undefined &&
      typeof error.message === 'string' &&
      /Deserialization error/.test(error.message))
  );
}

/** Something that a server or the SDK said, for people; empty where it is not a text. */
function shownIn(text: unknown, { redact }: AwsScene): string {
  if (typeof text !== 'string') return '';
  // AWS repeats what it was sent where a signature is wrong, and so may whatever is in between.
  return SaidText.shown([new SaidText(text)], longestWords, redact).replace(signed, '$1[redacted]');
}

/** Parts of a signed request, in its header or its query. */
const signed = /((?:Credential|Signature|X-Amz-Security-Token)(?:=|%3D|\s*:\s*|">?))[^\s,&;"<…]+/gi;

function otherFault(error: SdkError, said: string, scene: AwsScene): NotYet | Never {
  const { busy } = scene;
  if (error.syscall === 'open' || error.syscall === 'read') {
    return never(
      exitStatus.usage,
      `has no token to log in with: ${error.path ?? 'the file'} cannot be read (${error.code}); a variable such as AWS_WEB_IDENTITY_TOKEN_FILE names it`,
      'is the projected token mounted in this init container, and may this user read it (runAsUser, fsGroup)?',
    );
  }
  const late = /^(Request)?(Abort|Timeout)(Error|Exception)?$/.test(error.name);
  if (scene.connection !== undefined && !late) return scene.connection;
  const network = networkFault(error);
  if (network !== undefined) return network;
  // Of the SDK, not of AWS: its words are about its own parts.
  if (late) return notYet('does not answer in time');
  const status = error.$metadata?.httpStatusCode ?? 0;
  if (error.$fault === 'server' || status >= 500)
    return notYet(
      `answered ${status || shownErrorName(error.name) || 'with an error'}${isUnreadable(error) ? ', not in the words of AWS' : said && `: ${said}`}`,
      { busy },
    );
  if (status >= 300 && status < 400) {
    return never(
      exitStatus.refused,
      `answered ${status}, a redirect, and what is signed goes to one place only`,
      `look at ${scene.doing === 'credentials' ? 'AWS_ENDPOINT_URL_STS' : scene.doing.variable}, AWS_ENDPOINT_URL and the proxy variables: they should name AWS itself`,
    );
  }
  if (status === 429) return notYet(`answered ${status}`, { busy });
  if (error.name === 'CredentialsProviderError' || error.name === 'TokenProviderError') {
    return never(exitStatus.refused, `there are no credentials for AWS: ${said}`, credentialsHint);
  }
  if (/region is missing/i.test(said)) {
    return never(
      exitStatus.usage,
      'no region is named',
      'set AWS_REGION, or give the ARN of the secret or parameter',
    );
  }
  // JSON, in which a value has another type than Secrets Manager gives it.
  const isAnother = isUnreadable(error) && !(error instanceof SyntaxError || error instanceof AnswerTooLarge);
  if (scene.doing !== 'credentials' && status < 300 && isAnother)
    return notYet(`answered ${status || 200} with a broken body: a value in it has another type`);
  if (isUnreadable(error) || error instanceof AnswerTooLarge)
    return never(
      exitStatus.refused,
      `gave an answer that is not from ${scene.doing === 'credentials' ? 'STS' : scene.doing.title}: ${error instanceof AnswerTooLarge ? error.words : 'it cannot be read'}`,
      'look at AWS_ENDPOINT_URL and at the proxy variables',
    );
  return never(
    exitStatus.refused,
    [shownErrorName(error.name), said].filter(Boolean).join(': ') || `answered ${status}`,
  );
}

export const credentialsHint =
  'for IRSA, annotate the service account with eks.amazonaws.com/role-arn; for Pod Identity, make an association for it and start the pod after that; --aws-imds takes the node’s role';

/** Errors below HTTP: refused, reset, unknown name; also inside what a credential provider throws. */
function networkFault(error: SdkError): NotYet | undefined {
  if (error.answer !== undefined) return error.answer;
  for (const one of error.errors ?? [error]) {
    if (one.answer !== undefined) return one.answer;
    const code = one.code ?? '';
    if (/^E[A-Z]+$/.test(code)) {
      const where = one.address === undefined ? '' : ` (${one.address})`;
      return notYet(`${connectWords(code)}${where}`, { hint: connectHint(code) });
    }
  }
  const cause = error.cause;
  return cause instanceof Error ? networkFault(cause) : undefined;
}
