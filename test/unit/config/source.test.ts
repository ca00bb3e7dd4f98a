import { describe, expect, test } from 'vitest';

import { parseSource, signingValues } from '../../../src/config/source.ts';

function parse(text: string) {
  const secrets: string[] = [];
  const { options, ...rest } = parseSource(text, (value) => secrets.push(value));
  return { ...rest, options: Object.fromEntries(options), secrets };
}

describe('parseSource', () => {
  test.each([
    [
      'vault:secret/api-server',
      { scheme: 'vault', path: 'secret/api-server', field: undefined, options: {} },
    ],
    ['vault:secret/api-server#config', { field: 'config', text: 'vault:secret/api-server#config' }],
    ['vault:secret/a?version=3#b', { path: 'secret/a', options: { version: '3' }, field: 'b' }],
    ['vault:secret/a?version=3&kv=2', { options: { version: '3', kv: '2' } }],
    ['VAULT:secret/a', { scheme: 'vault', text: 'vault:secret/a' }],
    ['vault:secret/50% off/ü', { path: 'secret/50% off/ü' }],
    ['aws-sm:prod/api', { scheme: 'aws-sm', path: 'prod/api' }],
    ['aws-sm:arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/api-AbCdEf#k', { field: 'k' }],
    ['aws-sm:rds!cluster-1?stage=AWSPREVIOUS', { path: 'rds!cluster-1', options: { stage: 'AWSPREVIOUS' } }],
    ['http://info.cern.ch', { scheme: 'http', path: '//info.cern.ch' }],
    [
      'https://h:8443/a/b.yaml?x=1&y=2#k',
      { path: '//h:8443/a/b.yaml?x=1&y=2', field: 'k', text: 'https://h:8443/a/b.yaml?…#k', secrets: [] },
    ],
    ['https://h/a?X-Amz-Signature=abc&x=1', { text: 'https://h/a?…', secrets: ['abc'] }],
    [
      'https://u:p%40ss@h/a',
      { path: '//h/a', userinfo: 'u:p%40ss', text: 'https://h/a', secrets: ['p%40ss', 'p@ss'] },
    ],
    ['https://u:a@b@h/a', { path: '//h/a', userinfo: 'u:a@b' }],
    ['https://token@h/a', { userinfo: 'token', secrets: ['token', 'token'] }],
    ['file:/etc/config/app.conf', { scheme: 'file', path: '/etc/config/app.conf' }],
    ['env:APP_*', { scheme: 'env', path: 'APP_*' }],
  ])('%s', (text, expected) => expect(parse(text)).toMatchObject(expected));

  test.each([
    ['', /the source is empty/],
    ['secret/api', /has no scheme; sources are vault:/],
    ['vlt:secret/api', /unknown scheme "vlt"/],
    ['constructor:x', /unknown scheme "constructor"/],
    ['vault:', /has no path/],
    ['vault:#a', /has no path/],
    ['vault:secret/a#', /names no field after #/],
    ['vault:secret/a#b#c', /more than one #/],
    ['vault:/secret/a', /empty path segment/],
    ['vault:secret/a/', /empty path segment/],
    ['vault:secret//a', /empty path segment/],
    ['vault:secret/../a', /the path segment "\.\."/],
    ['vault:./secret', /the path segment "\."/],
    ['vault:secret/a?version=0', /the option version .* is "0", not a version number from 1/],
    ['vault:secret/a?version=x', /not a version number/],
    ['vault:secret/a?Version=1', /unknown option "Version".* it takes version, kv/],
    ['vault:secret/a?version=1&version=2', /given twice/],
    ['vault:secret/a\nb', /control character/],
    ['http:// u:p@h/a', /a blank, a backslash or a control character in its user or password/],
    ['http://u:p w@h/a', /a blank, a backslash .*; encode it, a blank as %20/],
    ['http://u:p\\w@h/a', /a blank, a backslash/],
    ['aws-sm:with space', /other characters/],
    ['aws-sm:arn:aws:s3:::bucket', /not the ARN of a secret/],
    ['http://', /has no host/],
    ['http:/h/a', /has no host/],
    ['https://h/a b', /a space or backslash/],
    ['https://h/a/../b', /the path segment ".."/],
    ['https://h/%2e./b', /the path segment ".."/],
    ['https://h:99999/', /is not a URL/],
    ['file:relative', /no absolute path/],
    ['env:', /has no path/],
    ['env:A=B', /names no variable/],
  ])('%s is refused', (text, words) => expect(() => parse(text)).toThrow(words));

  test('a password never stands in the message', () => {
    for (const text of ['https://u:hunter2@/x', 'https://u:hun/ter2@h/x', 'https://u:hunter2@h/a#b#c']) {
      expect(() => parse(text)).toThrow(/^(?!.*hun)/);
    }
  });
});

test('signingValues finds what gives access to a URL', () => {
  expect(signingValues('//h/a?sig=s1&x=2&TOKEN=t1&access_token=t2')).toEqual(['s1', 't1', 't2']);
  expect(signingValues('//h/a')).toEqual([]);
});

describe('what gives access in the query of a URL', () => {
  test.each([
    'client_secret',
    'clientSecret',
    'CLIENT-SECRET',
    'auth_token',
    'access-token',
    'accessToken',
    'authorization',
    'auth',
    'authkey',
    'private_token',
    'job_token',
    'X-Amz-Signature',
    'X-Amz-Credential',
    'X-Goog-Signature',
    'AWSAccessKeyId',
    'Key-Pair-Id',
    'sig',
    'sas',
    'apikey',
    'api_key',
    'api.key',
    'key',
    'subscription-key',
    'pwd',
    'user[password]',
    'passphrase',
    'otp',
    'jwt',
    'sessionid',
    'PHPSESSION',
    'ticket',
    'bearer',
    'credentials',
    'hmac',
  ])('%s', (name) =>
    expect(signingValues(`//h/f?ref=main&${encodeURIComponent(name)}=abcd`)).toEqual(['abcd']),
  );
  test.each([
    'ref',
    'version',
    'author',
    'authors',
    'keyword',
    'sidebar',
    'format',
    'design',
    'page',
    'sha',
    'pinned',
    'perPage',
    'X-Amz-Date',
  ])('not %s', (name) => expect(signingValues(`//h/f?${name}=abcd`)).toEqual([]));

  test.each([
    ['Akamai', 'hdnea=exp=1700000000~acl=/*~hmac=0123abcdef'],
    ['Cloudflare', 'verify=1484063787-IaLGSmELTvlhfd0ItdN6PhhHTFhzx73EX8uy%2FcSfy5A%3D'],
    ['nginx, secure_link', 'md5=_e4Nc3iduzkWRm01TBBNYw&expires=2147483647'],
    ['nginx, as its examples have it', 'st=D7LNMD3NbOGkHH_J7oXU7A&e=1700000000'],
    ['a function of Azure', 'code=abcdef0123456789=='],
    ['a SAS of Azure', 'sv=2022-11-02&sr=b&sig=abc%2Bdef%3D&se=2026-01-01'],
    ['a name that nobody knows', 'zyx=hunter2'],
    ['no name at all', '0123456789abcdefghijABCDEFGHIJ'],
    ['CloudFront', 'Policy=eyJTdGF0ZW1lbnQi&Signature=abc&Key-Pair-Id=APKA'],
    [
      'Discord',
      '/api/webhooks/123456789012345678/abcdefghijABCDEFGHIJ0123456789abcdefghijABCDEFGHIJ0123456789-_abcdef',
    ],
    ['Slack', '/services/T01234567/B01234567/abcdefghijklmnopqrstuvwx'],
    ['Telegram', '/bot123456789:AAabcdefghijklmnopqrstuvwxyz0123456789/getMe'],
    ['Teams', '/webhookb2/01234567-89ab-cdef-0123-456789abcdef@01234567/IncomingWebhook/0123456789abcdef'],
  ])('fails closed: %s', (_, part) =>
    expect(signingValues(part.startsWith('/') ? `//h${part}` : `//h/f?${part}`)).not.toEqual([]),
  );

  test.each(['x=1', 'cache=false', 'v=20260101', 'download', 'a=&b', 'flat=true&e=1700000000'])(
    'not switches and numbers: %s',
    (query) => expect(signingValues(`//h/f?${query}`)).toEqual([]),
  );

  test('nothing of them is in what is printed of a source', () => {
    const secrets: string[] = [];
    const { text } = parseSource('https://h/f?ref=main&zyx=hunter2&k=ab', (value) => secrets.push(value));
    expect(text).toBe('https://h/f?…');
    expect(secrets).toEqual(['hunter2']);
  });
  test('a JSON Web Token, whatever it is called', () => {
    const token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
    expect(signingValues(`//h/f?x=${token}&ref=eyJ`)).toEqual([token]);
  });
});
