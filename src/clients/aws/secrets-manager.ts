import { GetSecretValueCommand, type GetSecretValueCommandOutput } from '@aws-sdk/client-secrets-manager';

import { pickFromBytes, registerContent } from '../../config/fields.ts';
import type { FetchAnswer, ReadSource, SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { never, notYet, type NotYet } from '../../wait/attempt.ts';
import type { AwsService, SdkError } from './faults.ts';
import type { AwsLogin } from './login.ts';

export const secretsManager: AwsService = {
  title: 'Secrets Manager',
  missing: new Set(['ResourceNotFoundException']),
  list: (_id, region) =>
    `aws secretsmanager list-secrets --region ${region} shows what is there; another region is named by AWS_REGION or by the ARN`,
  allow: (id, region) =>
    `allow it in the role's policy: {"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"${id.startsWith('arn:') ? id : `arn:aws:secretsmanager:${region}:ACCOUNT:secret:${id}-??????`}"}, and look at the secret's own policy`,
  variable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
};

/** Reads a secret of AWS Secrets Manager by the SDK's client, one attempt each. */
export function secretsManagerReader(
  address: SourceAddress,
  { login, redactor }: { readonly login: AwsLogin; readonly redactor: Redactor },
): ReadSource {
  return async (probe) => {
    const client = login.clientFor(address);
    let region = 'the region';
    try {
      const keys = await login.keys(address, probe);
      if ('state' in keys) return keys;
      region = await client.config.region();
      const versionId = address.options.get('version');
      const stage = address.options.get('stage');
      const reply = await client.send(
        new GetSecretValueCommand({
          SecretId: address.path,
          ...(versionId === undefined ? {} : { VersionId: versionId }),
          ...(stage === undefined ? {} : { VersionStage: stage }),
        }),
        { abortSignal: probe.signal },
      );
      return fetchedFrom(reply, address, redactor);
    } catch (error) {
      if (probe.signal.aborted) return notYet('no answer yet');
      return login.faulty(error as SdkError, address, region, secretsManager);
    }
  };
}

/** The SDK does not look at the types of what it was sent. */
function fetchedFrom(
  reply: { readonly [Name in keyof GetSecretValueCommandOutput]?: unknown },
  address: SourceAddress,
  redactor: Redactor,
): FetchAnswer {
  const { SecretString: text, SecretBinary: binary, CreatedDate: date } = reply;
  const { VersionId: version, VersionStages: stages } = reply;
  if (!isNone(text) && typeof text !== 'string') return broken('SecretString is not a text');
  const bytes =
    binary instanceof Uint8Array ? binary : typeof text === 'string' ? Buffer.from(text) : undefined;
  if (bytes !== undefined) registerContent(redactor, { kind: 'value', value: bytes });
  if (!isNone(binary) && !(binary instanceof Uint8Array)) return broken('SecretBinary is not base64');
  if (!isNone(text) && !isNone(binary)) return broken('it has both a text and a binary value');
  if (!isNone(version) && typeof version !== 'string') return broken('VersionId is not a text');
  if (!isNone(stages) && !isTexts(stages)) return broken('VersionStages is not a list of texts');
  if (!isNone(date) && !(date instanceof Date && !Number.isNaN(date.getTime())))
    return broken('CreatedDate is not a time');
  // Both are in any answer of Secrets Manager.
  if (isNone(reply.ARN) && isNone(reply.Name)) return broken('it is not about a secret');
  if (!isAsked(reply, address.path)) return broken('it has another secret');
  const asked = { version: address.options.get('version'), stage: address.options.get('stage') };
  if (asked.version !== undefined && !isNone(version) && version !== asked.version)
    return broken('it has another version');
  // Where neither is asked for, it is the current one
  // (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html).
  const stage = asked.stage ?? (asked.version === undefined ? 'AWSCURRENT' : undefined);
  if (stage !== undefined && !isNone(stages) && !stages.includes(stage))
    return broken('it has another version');
  if (bytes === undefined) return never(exitStatus.refused, 'has neither a text nor a binary value');
  const content = pickFromBytes(bytes, address.field);
  if ('state' in content) return content;
  registerContent(redactor, content);
  const staged = stages?.length ? ` (${stages.join(', ')})` : '';
  return {
    state: 'fetched',
    fetched: {
      content,
      secret: true,
      provenance: {
        source: address.text,
        ...(isNone(version) ? {} : { version: `${version}${staged}` }),
        ...(isNone(date) ? {} : { time: date.toISOString() }),
      },
    },
  };
}

/**
 * Whether an answer is about the secret that was asked for, by its name or by its ARN, at whose end the six random characters
 * may be left out (https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen).
 */
function isAsked(
  { ARN: arn, Name: name }: { readonly ARN?: unknown; readonly Name?: unknown },
  path: string,
): boolean {
  const isArn = path.startsWith('arn:');
  const wanted = isArn ? (/:secret:(.+)$/.exec(path)?.[1] ?? '') : path;
  const [, before = '', found] = /^(arn:.*:secret:)(.+)$/s.exec(typeof arn === 'string' ? arn : '') ?? [];
  // What stands there without being one says nothing of a secret that was asked for by its name.
  if (found !== undefined || (isArn && !isNone(arn))) {
    if (found === undefined) return false;
    if (isArn && before + wanted !== path) return false;
    if (found !== wanted && found.replace(/-[A-Za-z0-9]{6}$/, '') !== wanted) return false;
  }
  return isNone(name) || name === wanted || (isArn && name === wanted.replace(/-[A-Za-z0-9]{6}$/, ''));
}

function isNone(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function broken(why: string): NotYet {
  return notYet(`answered 200 with a broken body: ${why}`);
}
