import { describe, expect, test } from 'vitest';

import { callerArn, callerRequest, isRole } from '../../../../src/clients/aws/caller.ts';
import { endpointBeside } from '../../../../src/clients/aws/endpoint.ts';
import { faultOf, type SdkError } from '../../../../src/clients/aws/faults.ts';
import { regionOf } from '../../../../src/clients/aws/region.ts';
import { secretsManager } from '../../../../src/clients/aws/secrets-manager.ts';
import { parseSource } from '../../../../src/config/source.ts';

describe('isRole', () => {
  const session = 'arn:aws:sts::123456789012:assumed-role/api-server/i-0abc';
  test.each([
    [session, 'api-server', true],
    [session, 'arn:aws:iam::123456789012:role/api-server', true],
    [session, 'arn:aws:iam::123456789012:role/team/path/api-server', true],
    [session, 'arn:aws:iam::999999999999:role/api-server', false],
    [session, 'api', false],
    [session, 'i-0abc', false],
    ['arn:aws:iam::123456789012:role/team/api-server', 'api-server', true],
    ['arn:aws:iam::123456789012:role/api-server/other', 'api-server', false],
    ['arn:aws:iam::123456789012:user/api-server', 'api-server', false],
    ['arn:aws-cn:sts::123456789012:assumed-role/api-server/x', 'api-server', true],
    ['nonsense', 'nonsense', false],
  ])('%s as %s', (arn, expected, result) => expect(isRole(arn, expected)).toBe(result));
});

test('the request to STS is signed as Signature Version 4 asks', async () => {
  const { url, headers, body } = await callerRequest(
    {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      sessionToken: 'token',
    },
    'eu-central-1',
    endpointBeside(new URL('https://secretsmanager.eu-central-1.amazonaws.com/'), 'sts', {}),
    new Date('2026-11-22T10:20:30.456Z'),
  );
  expect(url.href).toBe('https://sts.eu-central-1.amazonaws.com/');
  expect(body).toBe('Action=GetCallerIdentity&Version=2011-06-15');
  expect(headers['x-amz-date']).toBe('20261122T102030Z');
  expect(headers['authorization']).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20261122\/eu-central-1\/sts\/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
  );
  expect(callerArn('<Arn>arn:aws:iam::1:user/x</Arn>')).toBe('arn:aws:iam::1:user/x');
});

test('the region of an ARN comes before the environment’s', () => {
  const address = (text: string) => parseSource(text, () => {});
  const arn = address('aws-sm:arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf');
  expect(regionOf(arn, { AWS_REGION: 'eu-central-1' })).toBe('us-east-1');
  expect(regionOf(address('aws-sm:a'), { AWS_DEFAULT_REGION: 'eu-west-1' })).toBe('eu-west-1');
  expect(regionOf(address('aws-sm:a'), {})).toBeUndefined();
});

describe('failures', () => {
  const scene = {
    doing: secretsManager,
    id: 'prod/api',
    region: 'eu-central-1',
    caller: 'web identity (IRSA), arn:x',
    version: undefined,
    now: new Date(0),
    redact: (text: string) => text,
  };
  const error = (name: string, more: Partial<SdkError> = {}): SdkError =>
    Object.assign(new Error('words'), { name }, more);
  test.each([
    ['ThrottlingException', {}, 'not-yet', /throttled/],
    ['InternalServiceError', { $fault: 'server' as const }, 'not-yet', /words/],
    ['SignatureDoesNotMatch', { $metadata: { clockSkewCorrected: true } }, 'not-yet', /clock/],
    ['TimeoutError', {}, 'not-yet', /does not answer/],
    ['Error', { code: 'ECONNREFUSED', address: '10.0.0.1' }, 'not-yet', /connection refused \(10\.0\.0\.1\)/],
    ['AccessDeniedException', {}, 'never', /access is denied \(as web identity \(IRSA\), arn:x\)/],
    ['ResourceNotFoundException', {}, 'never', /does not exist in eu-central-1/],
    ['DecryptionFailure', {}, 'never', /could not be decrypted/],
    ['InvalidRequestException', {}, 'never', /cannot be read/],
    ['RequestTimeTooSkewed', {}, 'never', /rejected the signature/],
    ['ExpiredTokenException', {}, 'never', /rejected the credentials/],
    ['CredentialsProviderError', {}, 'never', /no credentials/],
    ['StrangeException', {}, 'never', /^StrangeException: words/],
    // A part of what was sent, as far as anybody knows.
    ['Strange', {}, 'never', /^words/],
  ] as const)('%s', (name, more, state, words) => {
    const answer = faultOf(error(name, more), scene);
    expect(answer.state).toBe(state);
    expect(answer.reason).toMatch(words);
  });

  test.each([
    ['a page in place of JSON', 'SyntaxError', `Unexpected token 'X', "Xk9vQ2mPzL7rT4" is not valid JSON`],
    [
      'XML that does not parse',
      'Error',
      'Unclosed tag Xk9vQ2mPzL7rT4\n  Deserialization error: to see the raw response',
    ],
  ])('%s is not quoted, whatever the status', (_name, name, message) => {
    for (const status of [200, 403, 500]) {
      const made = name === 'SyntaxError' ? new SyntaxError(message) : new Error(message);
      const answer = faultOf(Object.assign(made, { $metadata: { httpStatusCode: status } }), scene);
      expect(answer.reason).toMatch(/cannot be read|not in the words of AWS|with a broken body/);
      expect(JSON.stringify(answer)).not.toContain('Xk9v');
    }
  });

  test('a denial names the policy’s statement', () => {
    expect(faultOf(error('AccessDeniedException'), scene).hint).toContain(
      '{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:eu-central-1:ACCOUNT:secret:prod/api-??????"}',
    );
  });
});
