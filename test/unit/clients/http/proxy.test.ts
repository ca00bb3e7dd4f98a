import { describe, expect, test } from 'vitest';

import { proxyAuthorization } from '../../../../src/clients/http/agents.ts';
import { proxyFromEnvironment } from '../../../../src/clients/http/proxy.ts';

const proxies = { HTTP_PROXY: 'http://plain:1', HTTPS_PROXY: 'secure:2' };
const find = (environment: Record<string, string>, url: string): string | undefined =>
  proxyFromEnvironment(environment, () => {})(new URL(url))?.host;

describe('which proxy', () => {
  test.each([
    ['http://a/', proxies, 'plain:1'],
    ['https://a/', proxies, 'secure:2'],
    ['https://a/', { https_proxy: 'http://small:3', HTTPS_PROXY: 'http://large:4' }, 'small:3'],
    ['http://a/', { HTTPS_PROXY: 'secure:2' }, undefined],
    ['http://a/', { HTTP_PROXY: '' }, undefined],
    ['http://a/', { HTTP_PROXY: 'http://plain:1', REQUEST_METHOD: 'GET' }, undefined],
    ['http://localhost:8200/', proxies, undefined],
    ['http://127.0.0.1:8200/', proxies, undefined],
    ['http://[::1]:8200/', proxies, undefined],
  ])('%s %j', (url, environment, expected) =>
    expect(find(environment as Record<string, string>, url)).toBe(expected),
  );
});

describe('NO_PROXY', () => {
  test.each([
    ['*', 'http://a.example/', false],
    ['example.com', 'http://example.com/', false],
    ['example.com', 'http://api.example.com/', false],
    ['example.com', 'http://notexample.com/', true],
    ['.example.com', 'http://example.com/', true],
    ['.example.com', 'http://api.example.com/', false],
    ['*.example.com', 'http://api.example.com/', false],
    ['.svc, .cluster.local', 'http://vault.vault.svc:8200/', false],
    ['EXAMPLE.com', 'http://Example.COM/', false],
    ['example.com:8080', 'http://example.com:8080/', false],
    ['example.com:8080', 'http://example.com/', true],
    ['10.0.0.0/8', 'http://10.96.0.1/', false],
    ['10.0.0.0/8', 'http://11.96.0.1/', true],
    ['10.96.0.1', 'http://10.96.0.1:443/', false],
    ['fd00::/8', 'http://[fd12::1]/', false],
    ['10.0.0.0/99', 'http://10.0.0.1/', true],
    ['10.9.9.9:8901', 'http://10.9.9.9:8901/', false],
    ['10.9.9.9:8901', 'http://10.9.9.9/', true],
    ['10.9.9.9:80', 'http://10.9.9.9/', false],
    ['10.0.0.0/8:8901', 'http://10.9.9.9:8901/', false],
    ['[fd00::1]', 'http://[fd00::1]:8901/', false],
    ['[fd00::1]:8901', 'http://[fd00::1]:8901/', false],
    ['[fd00::1]:8901', 'http://[fd00::1]/', true],
    ['fd00::1', 'http://[fd00::1]/', false],
    ['a b,c', 'http://b/', false],
    ['.svc.cluster.local', 'http://api.ns.svc.cluster.local./', false],
    ['.svc.cluster.local.', 'http://api.ns.svc.cluster.local/', false],
    ['example.com.', 'http://example.com/', false],
    ['example.com', 'http://example.com.:8080/', false],
    ['none', 'http://localhost./', false],
    ['other, *', 'http://a.example/', false],
    ['*.example.com', 'http://example.com/', true],
  ])('%s and %s', (list, url, proxied) => {
    expect(find({ ...proxies, NO_PROXY: list }, url) !== undefined).toBe(proxied);
  });
});

test('a malformed one is named, and its password is not shown', () => {
  const secrets: string[] = [];
  expect(() => proxyFromEnvironment({ HTTP_PROXY: 'http://u:hunter2@ho st' }, () => {})).toThrow(
    /^HTTP_PROXY is not a URL(?!.*hunter2)/,
  );
  proxyFromEnvironment({ HTTP_PROXY: 'http://u:p%40ss@h' }, (value) => secrets.push(value));
  expect(secrets).toEqual(['p%40ss', 'p@ss', Buffer.from('u:p@ss').toString('base64')]);
});

test.each([
  ['u:hunter2%', 'u:hunter2%'],
  ['u:p%ss', 'u:p%ss'],
  ['u%:pass', 'u%:pass'],
  ['u:p%zz%41', 'u:p%zzA'],
  ['u:%e2%82%ac%', 'u:€%'],
])('the user and password %s are read as curl reads them', (written, meant) => {
  const secrets: string[] = [];
  const proxyFor = proxyFromEnvironment({ HTTP_PROXY: `http://${written}@h` }, (value) =>
    secrets.push(value),
  );
  const pair = Buffer.from(meant).toString('base64');
  expect(proxyAuthorization(proxyFor(new URL('http://a/')) as URL)).toEqual({
    'Proxy-Authorization': `Basic ${pair}`,
  });
  expect(secrets).toContain(meant.slice(meant.indexOf(':') + 1));
  expect(secrets).toContain(pair);
});

test('a byte that is no UTF-8 goes as it is', () => {
  const proxyFor = proxyFromEnvironment({ HTTP_PROXY: 'http://u:%ff@h' }, () => {});
  expect(proxyAuthorization(proxyFor(new URL('http://a/')) as URL)).toEqual({
    'Proxy-Authorization': `Basic ${Buffer.from('u:\xff', 'latin1').toString('base64')}`,
  });
});

test('a kind of proxy that is not spoken to matters where it would be used alone', () => {
  const proxyFor = proxyFromEnvironment(
    { https_proxy: 'socks5://u:pw@h:1', NO_PROXY: '.svc,10.0.0.0/8' },
    () => {},
  );
  for (const url of ['http://a/', 'https://a.svc/', 'https://10.1.2.3/', 'https://localhost/'])
    expect(proxyFor(new URL(url))).toBeUndefined();
  expect(() => proxyFor(new URL('https://a/'))).toThrow(
    /^https_proxy names a proxy by socks5:\/\/; http:\/\/ and https:\/\/ are accepted. If a is reached without a proxy, list it in NO_PROXY$/,
  );
});
