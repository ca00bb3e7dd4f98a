import { describe, expect, test } from 'vitest';

import { parseRevision, parseSource, refuseTree, signingValues } from '../../../src/config/source.ts';

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
    ['aws-ssm:/app/key?version=3#user', { scheme: 'aws-ssm', path: '/app/key', options: { version: '3' } }],
    ['aws-ssm:/app/?label=prod', { path: '/app/', options: { label: 'prod' } }],
    ['gcp-sm:api?version=latest#user', { scheme: 'gcp-sm', path: 'api', options: { version: 'latest' } }],
    ['gcp-sm:example.com:shop/api?version=7', { path: 'example.com:shop/api' }],
    ['gcp-sm:projects/1/locations/europe-west3/secrets/api', { field: undefined }],
    [`azure-kv:shop-eu/api?version=${'0a'.repeat(16)}#k`, { scheme: 'azure-kv', path: 'shop-eu/api' }],
    ['gs://my_bucket/a b/c.json?version=17#k', { scheme: 'gs', path: '//my_bucket/a b/c.json', field: 'k' }],
    ['gs://bucket/prefix/', { path: '//bucket/prefix/' }],
    ['azure-blob://shop1/my-config/a b/c.json#k', { path: '//shop1/my-config/a b/c.json', field: 'k' }],
    ['azure-blob://shop/$web/', { scheme: 'azure-blob', path: '//shop/$web/' }],
    ['azure-blob://shop/config/a?version=2026-11-27T20:15:00.1234567Z', { path: '//shop/config/a' }],
    ['kubernetes:secret/tls-cert#tls.crt', { path: 'secret/tls-cert', field: 'tls.crt' }],
    ['kubernetes:cm/shared/app', { scheme: 'kubernetes', path: 'cm/shared/app' }],
    [
      's3://my.bucket/a b/c.json?version=x&region=eu-west-1#k',
      { scheme: 's3', path: '//my.bucket/a b/c.json', field: 'k' },
    ],
    ['s3://bucket/prefix/', { path: '//bucket/prefix/' }],
    ['aws-ssm:name', { path: 'name' }],
    ['aws-ssm:/', { path: '/' }],
    ['aws-ssm:arn:aws:ssm:eu-central-1:123456789012:parameter/app/key', { field: undefined }],
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
    [
      'git+https://token@git.internal:8443/acme/site.git#main:public/a',
      {
        scheme: 'git+https',
        path: '//git.internal:8443/acme/site.git',
        field: 'main:public/a',
        secrets: ['token', 'token'],
        text: 'git+https://git.internal:8443/acme/site.git#main:public/a',
      },
    ],
    ['git+https://git@h/r', { userinfo: 'git', secrets: [] }],
    ['git+https://git:token@h/r', { userinfo: 'git:token', secrets: ['token', 'token'] }],
    ['git+ssh://deploy@h/r', { userinfo: 'deploy', secrets: [] }],
    ['https://git@h/r', { secrets: ['git', 'git'] }],
    ['GIT+HTTP://h/r', { scheme: 'git+http', path: '//h/r', field: undefined }],
    ['dns:redis-headless', { scheme: 'dns', path: 'redis-headless', options: {} }],
    [
      'dns:_peer._tcp.etcd?type=srv&min=3&join=, ',
      { path: '_peer._tcp.etcd', options: { type: 'srv', min: '3', join: ', ' } },
    ],
    ['interface:eth0?join=,#addresses', { path: 'eth0', field: 'addresses' }],
    ['interface:*', { path: '*' }],
    ['ordinal:HOSTNAME?plus=-1', { path: 'HOSTNAME', options: { plus: '-1' } }],
    ['time:unix', { path: 'unix' }],
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
    ['git+https:/h/r', /has no host; write for example git\+https/],
    ['git+https://u:p#q@h/r', /has a \/, \? or # in its user or password/],
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
    ['dns:', /has no path; write for example dns:redis-headless/],
    ['dns:a..b', /names no DNS name/],
    ['dns:a b', /names no DNS name/],
    ['dns:$HOST', /names no DNS name/],
    ['dns:$(HOST)', /\$\(HOST\)/],
    ['dns:a#0', /the dns source is one value, of which # picks no field/],
    ['dns:a?type=TXT', /the option type of the dns source is "TXT", not A, AAAA or SRV/],
    ['dns:a?min=0', /not a number of records from 1/],
    ['dns:a?separator=x', /it takes type, min, join/],
    ['interface:eth0/1', /names no interface/],
    ['interface:eth*', /names no interface/],
    ['interface:a-name-of-16-byte', /names no interface/],
    ['interface:eth0#mac', /its fields are address, ipv4, ipv6, addresses/],
    ['ordinal:*', /names no variable/],
    ['ordinal:HOSTNAME?plus=x', /not a whole number/],
    ['time:now', /is none of time:iso, time:date, time:unix/],
    ['http:// u:p@h/a', /a blank, a backslash or a control character in its user or password/],
    ['http://u:p w@h/a', /a blank, a backslash .*; encode it, a blank as %20/],
    ['http://u:p\\w@h/a', /a blank, a backslash/],
    ['s3:bucket/key', /no name of a bucket/],
    ['s3://bucket', /names no object/],
    ['s3://bucket/a/../b', /path segment "\.\."/],
    ['s3://bucket/a/%2e%2E/b', /path segment "\.\."/],
    ['s3://a:b@bucket/key', /no name of a bucket/],
    ['s3://bucket/prefix/?version=x', /is a prefix/],
    ['s3://bucket/key?region=a_b', /not a region/],
    ['kubernetes:secret', /not a Secret or ConfigMap/],
    ['kubernetes:pod/x', /not a Secret or ConfigMap/],
    ['kubernetes:secret/a/b/c', /not a Secret or ConfigMap/],
    ['kubernetes:secret/A/b', /names the namespace "A"/],
    ['kubernetes:secret/..', /has the name ".."/],
    ['kubernetes:secret/a/', /has the name ""/],
    ['kubernetes:secret/a?x=1', /unknown option/],
    ['aws-ssm:app/key', /does not begin with one; write \/app\/key/],
    ['aws-ssm:/app/key:3', /a version is written \?version=3/],
    ['aws-ssm:/app//key', /empty path segment/],
    ['aws-ssm:/app/sch lüssel', /other characters/],
    ['aws-ssm:arn:aws:secretsmanager:eu-central-1:123456789012:secret:a', /not the ARN of a parameter/],
    ['aws-ssm:arn:aws:ssm:eu-central-1:123456789012:parameter/app/', /ends with a slash/],
    ['aws-ssm:/app/?version=3', /has versions of its own/],
    ['aws-ssm:/app/key?version=3&label=x', /a version and a label/],
    ['aws-ssm:/app/key?version=0', /not a version number from 1/],
    ['azure-kv:api', /is not VAULT\/NAME/],
    ['azure-kv:shop/api/x', /is not VAULT\/NAME/],
    ['azure-kv:evil.example/api', /names a vault that has not/],
    ['azure-kv:shop/a_b', /other characters than letters, digits and hyphens/],
    ['azure-kv:shop/a?version=3', /not the 32 digits of a version/],
    ['gs://bucket', /write gs:\/\/BUCKET\/OBJECT/],
    ['gs://bucket/a/../b', /the path segment/],
    ['gs://bucket/a/?version=1', /is a prefix/],
    ['gs://bucket/a?version=x', /not the number of a generation/],
    ['gs://bucket/a?region=x', /unknown option/],
    ['azure-blob://shop/config', /names no blob; write azure-blob:/],
    ['azure-blob://shop.evil/config/a', /names no account of 3 to 24/],
    ['azure-blob://shop/Config/a', /names no container/],
    ['azure-blob://shop/config/a/../b', /the path segment/],
    ['azure-blob://shop/config/a/?version=2026-11-27T20:15:00.1234567Z', /is a prefix/],
    ['gcp-sm:a/b/c', /not NAME, PROJECT\/NAME or projects/],
    ['gcp-sm:projects/p/secrets/s/versions/3', /as in \?version=3/],
    ['gcp-sm:shop/a.b', /other characters than letters, digits, _ and -/],
    ['gcp-sm:Shop/a', /names a project/],
    ['gcp-sm:../a', /the path segment/],
    ['gcp-sm:a?version=0', /not latest, a version number from 1, or an alias/],
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

describe('parseRevision', () => {
  const hash = '0123456789abcdef0123456789abcdef01234567';
  test.each([
    [undefined, undefined, []],
    ['main', 'main', []],
    ['feature/x-1.2_y', 'feature/x-1.2_y', []],
    ['refs/pull/7/head', 'refs/pull/7/head', []],
    ['v1.2:public', 'v1.2', ['public']],
    [':/public//a/', undefined, ['public', 'a']],
    ['main:', 'main', []],
    ['main:a:b', 'main', ['a:b']],
    [hash.toUpperCase(), hash, []],
    [`${hash}:x`, hash, ['x']],
  ])('%s', (text, ref, path) => expect(parseRevision(text)).toEqual({ ref, path }));

  test.each([
    [':', /names nothing after #/],
    ['a b', /cannot be the name/],
    ['a..b', /cannot be the name/],
    ['-x', /cannot be the name/],
    ['/a', /cannot be the name/],
    ['a/', /cannot be the name/],
    ['a~1', /cannot be the name/],
    ['a^', /cannot be the name/],
    ['HEAD@{1}', /cannot be the name/],
    ['x.lock', /cannot be the name/],
    ['main:../x', /path segment ".."/],
    ['main:a/./x', /path segment "."/],
    ['main:a/.GIT/x', /\.git in its path/],
  ])('refuses %s', (text, why) => expect(() => parseRevision(text)).toThrow(why));
});

test('a tree is told from what has fields', () => {
  refuseTree(parseSource('https://h/a', () => {}));
  expect(() => refuseTree(parseSource('git+https://h/a', () => {}))).toThrow(/is a tree of files/);
});
