import { describe, expect, test } from 'vitest';

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
  ])('%s and %s', (list, url, proxied) => {
    expect(find({ ...proxies, NO_PROXY: list }, url) !== undefined).toBe(proxied);
  });
});

test('a malformed one is named, and its password is not shown', () => {
  const secrets: string[] = [];
  expect(() => proxyFromEnvironment({ HTTP_PROXY: 'http://u:hunter2@ho st' }, () => {})).toThrow(
    /^HTTP_PROXY is not a URL(?!.*hunter2)/,
  );
  expect(() => proxyFromEnvironment({ https_proxy: 'socks5://h:1' }, () => {})).toThrow(
    /^https_proxy names a proxy by socks5:/,
  );
  proxyFromEnvironment({ HTTP_PROXY: 'http://u:p%40ss@h' }, (value) => secrets.push(value));
  expect(secrets).toEqual(['p%40ss', 'p@ss', Buffer.from('u:p@ss').toString('base64')]);
  for (const url of [
    'http://u:hunter2%@h',
    'http://hunter2%zz:x@h',
    'http://u:p%ss@h',
    'http://u%:pass@h',
    'http://u:p%zz@h',
    'http://u:%ff@h',
  ]) {
    expect(() => proxyFromEnvironment({ HTTP_PROXY: url }, () => {})).toThrow(
      /^HTTP_PROXY has a % in its user or password that is not an escape; write %25 for it$/,
    );
  }
});
